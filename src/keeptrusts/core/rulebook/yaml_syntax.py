"""Syntax errors of YAML in words that say what to do. The parser's own words may repeat what stands in the file: never used."""

# What the parser says begins like this (its context, then its problem), and this is what a person did.
SENTENCES: tuple[tuple[str, str], ...] = (
    ("found character '\\t'", "a tab stands where only spaces may: indent with spaces"),
    ("found character '@'", "a value cannot begin with `@`: put it in quotes"),
    ("found character '%'", "a value cannot begin with `%`: put it in quotes"),
    ("found character '`'", "a value cannot begin with a backtick: put it in quotes"),
    ("mapping values are not allowed", "a second `:` on this line: put the value in quotes, or indent the lines alike"),
    ("could not find expected ':'", "this line is no `key: value`: a `:` is missing, or the indentation is off"),
    ("while scanning a quoted scalar", "a quote is opened and never closed"),
    ("while parsing a flow sequence", "a list `[...]` is not closed, or a comma is missing in it"),
    ("while parsing a flow mapping", "a mapping `{...}` is not closed, or a comma is missing in it"),
    ("while parsing a flow node", "a list `[...]` or mapping `{...}` is not closed"),
    ("while parsing a block mapping", "this line does not line up with the keys above it"),
    ("while parsing a block collection", "this line does not line up with the list above it"),
    ("while scanning an anchor", "`&` begins an anchor, and no name follows: put the value in quotes"),
    ("while scanning an alias", "`*` begins an alias, and no name follows: put the value in quotes"),
    ("while scanning a tag", "`!` begins a tag: put the value in quotes"),
    ("found undefined tag handle", "`!` begins a tag: put the value in quotes"),
    ("while scanning a block scalar", "after `|` or `>` the line must end"),
    ("while scanning a double-quoted scalar", "an escape in double quotes that YAML does not know: use single quotes"),
    ("sequence entries are not allowed", "a list item (`- `) cannot begin here: put it on a line of its own"),
    ("while parsing a node", "a value is expected here"),
)


def syntax_message(context: str | None, problem: str | None) -> str:
    """A sentence for the parser's complaint; a plain one where the complaint is unknown."""
    for said in (problem or "", context or ""):
        for beginning, sentence in SENTENCES:
            if said.startswith(beginning):
                return sentence
    return "this is not YAML"
