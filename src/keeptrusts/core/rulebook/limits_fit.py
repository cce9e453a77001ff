"""Limits that contradict each other, or that would limit nothing: rules of ``consistency.py``."""

from keeptrusts.core.rulebook.survey import Survey

STORES = ("store", "store_env")


def limits_fit(survey: Survey) -> None:
    """Each bound is given once, a store in one way, and what is set limits something."""
    if survey.value("size_limits", "max_body_bytes") and survey.value("gateway", "max_body_bytes"):
        message = "`size_limits.max_body_bytes` and `gateway.max_body_bytes` are the same setting"
        survey.error("given_twice", ("size_limits", "max_body_bytes"), message, "keep one of them")
    if survey.value("response_headers") is not None:
        nested = survey.value("rate_limit_defaults", "response_headers")
        if nested is not None:
            message = "`response_headers` is given in `rate_limit_defaults` already"
            survey.error("given_twice", ("response_headers",), message, "keep one of them")
    users = survey.value("user_rate_limit")
    has_users = isinstance(survey.value("rate_limits", "per_user"), dict)
    has_tokens = survey.text("token_rate_limit", "scope") == "user"
    if isinstance(users, dict) and "max_requests" not in users and not has_users and not has_tokens:
        message = "`user_rate_limit` limits nothing: it has no `max_requests`, and there is no `rate_limits.per_user`"
        survey.error("missing_key", ("user_rate_limit",), message, "for example `max_requests: 50`")
    _store_fits(survey)


def _store_fits(survey: Survey) -> None:
    given = [key for key in STORES if survey.value("limits", key) is not None]
    if len(given) == 2:
        message = "`store` and `store_env` both say where the store is"
        survey.error("contradiction", ("limits", "store_env"), message, "keep one of them")
    secret = ("limits", "secret_key_ref")
    if survey.value(*secret) is not None and given != ["store"]:
        message = "`secret_key_ref` is the password of `store`"
        survey.error(
            "contradiction", secret, message, "add `store`; with `store_env` the password stands in the address"
        )
