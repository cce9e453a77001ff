"""The phrases of ``prompt_injection``, by what they try and by how plainly each does. Levels as in ``content_words.py``."""

from collections.abc import Mapping
from typing import Literal

Level = Literal["plain", "likely", "possible"]

_IGNORE = "(?:ignore|disregard|forget|override|bypass|skip|do not follow|don't follow)"
_ALL = "(?:(?:all|any|every|each) (?:of )?)?(?:(?:the|your|my|these|those) )?"
_EARLIER = "(?:previous|prior|earlier|above|preceding|foregoing|former|past|original|existing|initial|current)"
_RULES = (
    "(?:instructions?|directions?|directives?|rules?|prompts?|guidelines?|guardrails?|polic(?:y|ies)|constraints?|commands?"
    "|programming|training|messages?|context)"
)
_TELL = "(?:reveal|show|print|repeat|output|display|tell me|give me|leak|dump|recite|write out|disclose|expose)"
_PRETEND = "(?:pretend|act|behave|respond|answer) (?:as if|as though|like)"
_SYSTEM = "(?:system|hidden|initial|original|secret|internal|developer)"

SIGNS: Mapping[str, Mapping[Level, tuple[str, ...]]] = {
    "override": {
        "plain": (
            f"{_IGNORE} {_ALL}{_EARLIER} (?:{_SYSTEM} )?{_RULES}",
            f"{_IGNORE} {_ALL}{_SYSTEM} {_RULES}",
            f"{_IGNORE} (?:everything|anything|all) (?:that )?(?:i|we|you|they) (?:said|told|wrote|were told|have been told)",
            f"{_IGNORE} (?:everything|all) (?:above|before this|prior to this)",
            "your (?:new|real|true|actual|updated) (?:instructions?|task|goal|objective|rules?) (?:is|are)(?: as follows)?",
        ),
        "likely": (
            f"{_IGNORE} (?:all )?(?:of )?your {_RULES}",
            "(?:instead|from now on) (?:you will|you must|you are to|you shall) (?:ignore|obey|only obey)",
            "(?:new|updated|revised) (?:system )?instructions? (?:for you|from (?:the )?(?:admin|administrator|developer|system))",
            "(?:your|all) (?:previous|prior|earlier) (?:instructions|rules) (?:are|were) (?:void|cancell?ed|revoked|lifted)",
        ),
        "possible": (
            f"{_IGNORE} {_ALL}{_RULES}",
            "from now on you are",
            "stop being an? (?:assistant|ai|language model)",
        ),
    },
    "prompt_leak": {
        "plain": (
            f"{_TELL} (?:me )?(?:your|the) (?:full |entire |exact |complete |whole )?{_SYSTEM} (?:prompt|instructions?|message)s?",
            f"what (?:is|are|was|were) your (?:exact |full )?{_SYSTEM} (?:prompt|instructions?|message)s?",
            "(?:repeat|print|output) (?:everything|all|the words|the text|all text) (?:above|before this)",
        ),
        "likely": (
            f"{_TELL} (?:me )?(?:your|the) (?:instructions?|guidelines) (?:verbatim|word for word|exactly)",
            "(?:begin|start) your (?:answer|reply|response) with your (?:instructions|prompt)",
        ),
        "possible": ("system prompt", f"{_TELL} (?:me )?your (?:instructions?|prompt|rules|guidelines)"),
    },
    "jailbreak": {
        "plain": (
            "you are (?:now )?(?:dan|stan|aim|dude|developer mode)",
            "do anything now",
            "(?:enable|enter|activate|switch to|simulate) (?:the )?(?:developer|jailbreak|jailbroken|god|unrestricted|dan|sudo) mode",
            f"{_PRETEND} (?:you (?:have|had) no|there (?:are|were) no) (?:rules|restrictions|limits|guidelines|filters|ethics)",
            "(?:an?|as an?) (?:unfiltered|uncensored|unrestricted|jailbroken|amoral) (?:ai|assistant|chatbot|model|language model)",
        ),
        "likely": (
            "without (?:any )?(?:restrictions|filters|censorship|moral(?:s|ity)?|ethical (?:limits|constraints|guidelines))",
            "(?:no|without) (?:moral|ethical) (?:compass|constraints|limits)",
            "stay in character (?:no matter what|at all times|whatever)",
            "you (?:are|have been) (?:freed|liberated|released) from (?:the|all|your)",
        ),
        "possible": ("jail ?break(?:ing|en)?", "developer mode", "pretend (?:that )?you are"),
    },
    "forged_turn": {
        "plain": (
            r"<\|im_(?:start|end)\|>(?:system|user|assistant|tool|developer)?",
            r"<\|(?:system|user|assistant|endoftext|end_of_turn|start_header_id|eot_id)\|>(?:system|user|assistant)?",
            r"\[/?inst\]",
            r"<</?sys>>",
            "<(?:start|end)_of_turn>",
        ),
        "likely": (
            "begin (?:new )?system (?:prompt|message)",
            "end of (?:the )?(?:user|system) (?:prompt|message|input)",
            "</?system>",
        ),
        "possible": ("###? (?:system|instruction|new instructions?)",),
    },
}
"""As ``phrases.py`` reads them."""
