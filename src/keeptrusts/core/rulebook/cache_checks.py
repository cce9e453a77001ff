"""What must fit together in ``cache``."""

from keeptrusts.core.providers.wires import WIRES
from keeptrusts.core.rulebook.nearest import did_you_mean
from keeptrusts.core.rulebook.quoting import quoted
from keeptrusts.core.rulebook.survey import Survey

EMBEDDING_PROVIDERS = frozenset(WIRES["embeddings"])


def cache_settings_fit(survey: Survey) -> None:
    """A store is named where one is used, once, and nowhere else; a threshold stands where it decides something."""
    threshold = survey.first_given(("cache",), "similarity_threshold", "threshold")
    if threshold is not None and survey.text("cache", "mode") != "semantic":
        message = f"`{threshold[-1]}` is for `mode: semantic`"
        survey.error("contradiction", threshold, message, "write `mode: semantic`, or leave it out")
    embedder = survey.first_given(("cache",), "embedder")
    if embedder is not None and survey.text("cache", "mode") != "semantic":
        survey.error(
            "contradiction", embedder, "`embedder` is for `mode: semantic`", "write `mode: semantic`, or leave it out"
        )
    elif embedder is not None and (named := survey.text(*embedder, "target")) is not None:
        makers = [t for t in survey.items("providers", "targets") if survey.text(*t, "provider") in EMBEDDING_PROVIDERS]
        ids = [target_id for t in makers if (target_id := survey.text(*t, "id")) is not None]
        if named not in ids:
            message = f"no target {quoted(named)} makes embeddings"
            survey.error("unknown_target", (*embedder, "target"), message, did_you_mean(named, ids))
    backend, url = survey.text("cache", "backend"), survey.first_given(("cache",), "url")
    url_env = survey.first_given(("cache",), "url_env")
    if backend == "redis" and url is None and url_env is None:
        message = "`backend: redis` needs the address of the store"
        suggestion = "for example `url: redis://valkey.internal:6379/0`, or `url_env: KEEPTRUSTS_CACHE_URL`"
        survey.error("missing_key", ("cache", "backend"), message, suggestion)
    elif backend == "redis" and url is not None and url_env is not None:
        survey.error("given_twice", url_env, "the address was given already as `url`", "keep one of the two")
    elif backend != "redis" and (given := url or url_env) is not None:
        message = f"`{given[-1]}` is for `backend: redis`"
        survey.error("contradiction", given, message, "write `backend: redis`, or leave it out")
    if backend == "redis" and "api" not in survey.document:
        message = "without `api` each gateway process seals with a secret of its own: none can read another's answers"
        survey.warning("not_shared", ("cache", "backend"), message, "add `api`, or use `backend: memory`")
