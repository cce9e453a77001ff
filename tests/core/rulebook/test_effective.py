"""What several files make together can be read, says where each line is from, and holds no key."""

from keeptrusts.core.rulebook.effective import effective_lines
from keeptrusts.core.rulebook.from_yaml import compile_layers, compile_rulebook
from keeptrusts.core.rulebook.layers import Layer
from tests.architecture.sources import ROOT

BASE = "version: '1'\nproviders: {targets: [{id: a, provider: openai}]}\nconsumer_groups: [{name: g, api_key: kt_cg_the_secret_0123456}]\n"
OVER = "cache: {enabled: true, ttl: 5}\n"


def test_each_line_names_its_origin_and_no_line_a_key():
    lines = list(effective_lines(compile_layers([Layer("base.yaml", BASE), Layer("over.yaml", OVER)])))
    assert any(line.startswith("  ttl: 5 ") and line.endswith("# over.yaml:1") for line in lines)
    assert any("id: a" in line and line.endswith("# base.yaml:2") for line in lines)
    assert "the_secret" not in "\n".join(lines)


def test_it_means_the_same_when_it_is_read_again():
    for example in sorted((ROOT / "examples").glob("*.yaml")):
        compiled = compile_layers([Layer(example.name, example.read_text())])
        again = compile_rulebook("\n".join(effective_lines(compiled)).replace('"***"', '"kt_cg_0123456789_0123456789"'))
        assert compiled.document is not None
        assert {p.code for p in again.problems if p.severity == "error"} <= {"duplicate"}, example
        assert set(again.document or {}) == set(compiled.document)
