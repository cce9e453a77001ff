"""The phrases of ``content_filter``, by category and by how plainly each speaks.

They are there to catch what nobody should send, so some of them are vile. A phrase belongs under the highest level at
which its everyday uses are no longer mistaken for harm: ``plain`` has hardly any innocent use, ``likely`` some in
fiction, news or medicine, ``possible`` many. Words that groups use of themselves, and words that are also names, places
or ordinary verbs, are left out: refusing those harms the people whom the filter should protect.
"""

from collections.abc import Mapping
from typing import Literal

Level = Literal["plain", "likely", "possible"]

_PEOPLE = (
    "(?:jews?|muslims?|christians?|hindus?|arabs?|blacks|black people|white people|asians?|latinos?|mexicans?"
    "|immigrants?|refugees?|foreigners?|gays?|gay people|lesbians?|trans people|women|disabled people|roma people|gypsies)"
)
_HARM = "(?:kill|murder|exterminate|gas|lynch|shoot|hang|burn|eradicate|wipe out)"
_SOMEBODY = "(?:him|her|them|you|my (?:wife|husband|boss|ex|neighbou?r|teacher|classmates?|co ?workers?))"
_SELF = "(?:my ?self|my ?selves)"
_CHILD = "(?:child|children|kids?|minors?|toddlers?|infants?|under ?age (?:girls?|boys?)|pre ?teens?)"
_HOW_TO_SELF = "(?:how (?:to|do i|can i|many pills to)|painless(?:ly)? ways? to|best way to|easiest way to)"
_SEXUAL = "(?:sex|sexual|nude|naked|porn|pornographic|erotic)(?: (?:content|story|stories|images?|pictures?|videos?))?"
_WRITE = "(?:write|generate|give me|make|describe) (?:me )?(?:an? |some )?"
_HOW_TO = "(?:how (?:to|do i|can i)|steps to|instructions (?:to|for)|recipe for|guide to)"
_MAKE = "(?:make|making|build|building|cook|cooking|synthesi[sz]e|synthesi[sz]ing|assemble|assembling)"
_WEAPON = (
    "(?:pipe bomb|bomb|ied|explosive|molotov(?: cocktail)?|nerve (?:gas|agent)|sarin|ricin|meth|methamphetamine"
    "|crystal meth|crack cocaine|ghost gun|untraceable gun|dirty bomb|nail bomb)"
)

CATEGORIES: Mapping[str, Mapping[Level, tuple[str, ...]]] = {
    "hate": {
        "plain": (
            f"{_HARM} (?:all )?(?:the |those |these )?{_PEOPLE}",
            f"(?:all )?{_PEOPLE} (?:must|should|deserve to) (?:die|be (?:killed|exterminated|gassed|lynched|shot|hanged))",
            f"death to (?:all )?(?:the )?{_PEOPLE}",
            f"{_PEOPLE} are (?:all )?(?:vermin|sub ?humans?|cockroaches|parasites|animals|a disease|a plague)",
            "(?:heil|sieg heil|hail) hitler",
            "hitler was right",
            "gas the kikes",
            "race war now",
            "niggers?",
            "kikes?",
            "wetbacks?",
            "sand ?niggers?",
            "towel ?heads?",
            "rag ?heads?",
        ),
        "likely": (
            "white power",
            "white (?:genocide|supremacy forever)",
            "(?:the )?great replacement is real",
            "blood and soil",
            "race traitors?",
            "untermensch(?:en)?",
            "faggots?",
            "(?:racially|genetically) inferior",
            "(?:inferior|superior) races?",
            "ethnic cleansing (?:is good|works|now)",
            f"(?:i|we) (?:really )?hate (?:all )?(?:the )?{_PEOPLE}",
            "(?:the )?jews (?:control|run|own) the (?:world|media|banks)",
            "go back to (?:your own|your) country",
            "gooks?",
            "spics?",
            "paki(?:s)?",
        ),
        "possible": (
            "the holocaust (?:is|was) (?:a )?(?:hoax|lie|fake)",
            f"get rid of (?:all )?(?:the )?{_PEOPLE}",
            f"{_PEOPLE} (?:do not|don't) belong here",
            f"deport (?:all )?(?:the )?{_PEOPLE}",
            "sub ?humans?",
            "master race",
            "chinks?",
            "trannies",
            "retards?",
        ),
    },
    "harassment": {
        "plain": (
            "kill your ?self",
            "kys",
            "go die in a (?:fire|hole|ditch)",
            "you should (?:just )?(?:die|kill your ?self|end your ?self)",
            "(?:i will|i'll|we will|we'll|gonna) (?:find|hunt) you (?:down )?and (?:kill|hurt|rape|beat)",
            "i know where you live and",
            "(?:hope|wish) you (?:die|get raped|get cancer)",
        ),
        "likely": (
            "nobody would miss you",
            "(?:the )?world (?:would be|is) better (?:off )?without you",
            "you (?:are|re) (?:a )?(?:worthless|pathetic|disgusting) (?:piece of shit|bitch|whore|slut|cunt|pig)",
            "(?:stupid|dumb|fat|ugly) (?:bitch|whore|slut|cunt)",
            "(?:dox|doxx|swat) (?:him|her|them|this (?:guy|woman|person))",
        ),
        "possible": (
            "you (?:are|re) (?:so )?(?:worthless|pathetic|disgusting)",
            "piece of shit",
            "shut the fuck up",
            "fuck you",
            "make (?:him|her|them) suffer",
        ),
    },
    "violence": {
        "plain": (
            f"(?:i will|i'll|i am going to|i'm going to|i want to|gonna) (?:kill|murder|stab|strangle|behead) {_SOMEBODY}",
            f"(?:how|ways?) (?:to|do i|can i) (?:kill|murder|poison|strangle) (?:someone|a person|people|{_SOMEBODY})",
            "(?:how to|plan(?:ning)? (?:a|to)|carry out a|commit a) (?:mass|school) (?:shooting|murder)",
            "shoot up (?:a|the|my) (?:school|church|mosque|synagogue|mall|office|work ?place|hospital)",
            "(?:bomb|blow up) (?:a|the|my) (?:school|church|mosque|synagogue|mall|hospital|airport|train station)",
            "(?:get away with|commit) murder and (?:hide|dispose of) the body",
        ),
        "likely": (
            "(?:how to|where to) (?:hide|dispose of|get rid of) (?:a|the) (?:dead )?body",
            "(?:torture|dismember|behead|mutilate|decapitate) (?:him|her|them|someone|somebody|people|a person)",
            "slit (?:his|her|their|your) throats?",
            "beat (?:him|her|them|you) to death",
            "massacre (?:them|everyone|everybody|civilians)",
            "hire a (?:hit ?man|contract killer)",
        ),
        "possible": (
            "(?:kill|murder|stab|strangle) (?:someone|somebody|people|everyone|everybody)",
            "(?:mass|school) shootings?",
            "beheadings?",
            "bloodbath",
            "dismember(?:ed|ment)?",
            "torture methods?",
        ),
    },
    "self_harm": {
        "plain": (
            f"(?:i want to|i'm going to|i am going to|i will|gonna) (?:kill|hang|hurt|cut|harm|shoot) {_SELF}",
            "(?:i want to|i'm going to|i am going to) (?:end my life|commit suicide|die by suicide)",
            f"{_HOW_TO_SELF} (?:kill {_SELF}|end my life|commit suicide|overdose|hang {_SELF})",
            "suicide (?:method|note for me|pact)s?",
            "(?:write|help me write) (?:me )?(?:a|my) suicide note",
            "(?:pro ?ana|pro ?mia|thinspo|thinspiration)",
        ),
        "likely": (
            "(?:cut|cutting|burn|burning|hurt|hurting|harm|harming) my ?self",
            "(?:do not|don't) want to (?:live|be alive)",
            "better off dead",
            "no reason to (?:live|go on living)",
            "starv(?:e|ing) my ?self",
            "want to die",
        ),
        "possible": (
            "suicid(?:e|al)",
            "self (?:harm|injury|mutilation)",
            "overdos(?:e|ing) on",
            "end my life",
            "how to purge",
        ),
    },
    "sexual": {
        "plain": (
            f"{_SEXUAL} (?:with|of|about|involving|between) (?:a |an |the |some )?{_CHILD}",
            "child (?:porn|pornography|sex|erotica)",
            f"{_CHILD} (?:porn|pornography|erotica|nudes?)",
            "(?:lolicon|shotacon)",
            "(?:rape|incest|bestiality) (?:porn|fantasy|fantasies|erotica)",
            "nudify (?:her|him|them|this (?:girl|woman|boy|man|photo|picture))",
            "non ?consensual (?:sex|porn|nudes?)",
        ),
        "likely": (
            f"{_WRITE}(?:explicit |graphic |hardcore )?(?:porn|erotica|smut|sex scene|sexual stor(?:y|ies))",
            "(?:hard ?core|explicit|graphic) (?:sex|porn|pornography|erotica)",
            "(?:send|show) (?:me )?(?:your )?(?:nudes|dick pics?|tits|pussy)",
            "(?:blow ?job|hand ?job|gang ?bang|cum ?shot|deep ?throat|creampie)s?",
            "(?:fuck|fucking) (?:me|her|him) (?:hard|harder|now)",
            "sext(?:ing)? with me",
        ),
        "possible": (
            "porn(?:o|ographic|ography)?",
            "erotic(?:a)?",
            "(?:nude|naked) (?:pictures?|photos?|images?|selfies?)",
            "sexually explicit",
            "masturbat(?:e|es|ed|ing|ion)",
            "orgasms?",
        ),
    },
    "illicit": {
        "plain": (
            f"{_HOW_TO} {_MAKE} (?:a |an |some )?{_WEAPON}s?",
            "(?:weaponi[sz]e|weaponi[sz]ing) (?:anthrax|smallpox|ebola|ricin|a virus|a pathogen)",
            "(?:write|make|build|create) (?:me )?(?:some |a )?(?:ransomware|key ?logger|botnet)",
            "(?:buy|sell|where to (?:buy|get)) (?:stolen (?:credit cards?|cards?|identities|passports)|fake passports?)",
        ),
        "likely": (
            "(?:make|build) (?:a )?(?:pipe bomb|bomb|molotov)s?",
            "(?:cook|synthesi[sz]e) (?:meth|methamphetamine|fentanyl|lsd|mdma|heroin)",
            "(?:launder|laundering) (?:money|cash) (?:through|without|from)",
            "forge (?:money|currency|banknotes|passports?)",
            "(?:buy|sell) (?:cocaine|heroin|fentanyl|meth|illegal guns?|a gun illegally)",
            "(?:hack|break) into (?:his|her|their|someone's|somebody's) (?:account|phone|e ?mail|computer|bank)",
            "credit card (?:dumps|skimmers?)",
        ),
        "possible": (
            "pipe bombs?",
            "(?:dark ?web|dark ?net) (?:market|markets|drugs|guns)",
            "(?:hot ?wire|steal) (?:a )?cars?",
            "pick (?:a )?locks? (?:to|without)",
            "fake ids?",
            "counterfeit (?:money|currency|banknotes)",
            "money laundering",
        ),
    },
}
"""As ``phrases.py`` reads them."""
