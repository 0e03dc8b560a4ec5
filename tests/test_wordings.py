"""Templates of relations, and the seam between a prompt and its answer under three kinds of tokenizers."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import factweights as fw
import small_models
from factweights.errors import FactsError, FileFormatError, SettingError
from factweights.models.seam import LanguageModel
from factweights.models.wordings import (
    DEFAULTS,
    Wordings,
    continued,
    fill,
    read_wordings,
    separator,
    shipped,
)

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def test_shipped_wordings_cover_the_examples_and_people():
    known = shipped()
    for file in ("countries.csv", "airports.csv"):
        for relation in fw.FactTable.read(EXAMPLES / file).relations:
            assert len(known[relation.casefold()]) >= 12
    for relation in ("birthplace", "employer", "profession", "birth year", "university", "favorite color"):
        assert len(known[relation]) >= 12
    for templates in known.values():
        assert len({fill(t, "Xyz", "abc") for t in templates}) == len(templates)
        assert all(t.count("{subject}") == 1 for t in templates)
        assert any("?" in t for t in templates)
        assert any("?" not in t for t in templates)


def test_relations_take_shipped_lists_or_defaults():
    found = Wordings.choose(["Capital", "place of birth", "favourite_colour", "shoe size"])
    assert found.of("Capital") == shipped()["capital"]
    assert found.of("place of birth") == shipped()["birthplace"]
    assert found.of("favourite_colour") == shipped()["favorite color"]
    assert found.of("shoe size") == DEFAULTS
    assert dict(found.origin)["shoe size"] == "default"
    assert found.first(2).of("Capital") == shipped()["capital"][:2]
    assert Wordings.choose(["capital"], shipped_ones=False).of("capital") == DEFAULTS


def test_given_templates_suit_their_relations():
    templates = ["The {relation} of {subject}:", "In {subject} the currency code is", "{subject} currency"]
    found = Wordings.choose(["currency", "currency code"], templates=templates)
    assert found.of("currency code") == (templates[0], templates[1])
    assert found.of("currency") == (templates[0], templates[2])
    assert Wordings.choose(["capital"], templates=["{subject} is ruled from"]).of("capital")
    with pytest.raises(SettingError, match="names no relation"):
        Wordings.choose(["capital", "code"], templates=["{subject} is ruled from"])
    with pytest.raises(SettingError, match="subject"):
        Wordings.choose(["capital"], templates=["The capital is"])


def test_a_file_gives_lists_by_relation(tmp_path: Path):
    file = tmp_path / "own.toml"
    file.write_text(
        'capital = ["{subject} is ruled from", "{subject}:"]\n"phone prefix" = "Call {subject} by"\n'
    )
    found = Wordings.choose(["capital", "phone prefix"], file=file)
    assert found.of("capital") == ("{subject} is ruled from", "{subject}:")
    assert (found.of("phone prefix"), found.origin["capital"]) == (("Call {subject} by",), "own.toml")
    both = Wordings.choose(["capital", "code"], templates=["{relation} of {subject}"], file=file)
    assert (both.of("capital")[0], len(both.of("capital")), len(both.of("code"))) == (
        "{relation} of {subject}",
        3,
        1,
    )
    with pytest.raises(
        FactsError, match=r"no template for the relation 'capitals' \(own.toml has 'capital'\)"
    ):
        Wordings.choose(["capitals"], file=file)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("capital = [", FileFormatError),
        ("capital = 3", FileFormatError),
        ("capital = []", FileFormatError),
        ("capital = [3]", FileFormatError),
        ('[capital]\na = "{subject}"', FileFormatError),
        ('capital = ["no name in it"]', SettingError),
    ],
)
def test_files_that_hold_something_else(tmp_path: Path, text: str, error: type[Exception]):
    (tmp_path / "own.toml").write_text(text)
    with pytest.raises(error):
        Wordings.choose(["capital"], file=tmp_path / "own.toml")
    with pytest.raises(FileNotFoundError):
        Wordings.choose(["capital"], file=tmp_path / "none.toml")


# -- the seam ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prompt", "gap"),
    [
        ("The capital of Peru is", " "), ("Capital:", " "), ("A:\n", ""), ("It is ", ""), ('He said "', ""),
        ('The "capital"', " "), ("(", ""), ("James'", " "), ("code = '", ""), ("x=", ""),
    ],
)  # fmt: skip
def test_what_stands_between_a_prompt_and_its_answer(prompt: str, gap: str):
    assert separator(prompt) == gap


@pytest.fixture(scope="module", params=["bytes", "sentencepiece", "words"])
def encoder(request: pytest.FixtureRequest) -> LanguageModel:
    words = small_models.tokenizer(request.param, small_models.TEXT)
    return LanguageModel(small_models.model("llama", len(words)), words, request.param)


def test_prompt_and_answer_are_tokenised_as_one_text(encoder: LanguageModel):
    for s, _, _ in small_models.ROWS[:8]:
        prompt, answers = f"The capital of {s} is", small_models.CAPITALS[:6]
        found = continued(encoder, prompt, answers)
        assert found.healed == 0
        for answer, tail in zip(answers, found.answers, strict=True):
            assert [*found.prompt, *tail] == encoder.encode([f"{prompt} {answer}"])[0]
            assert tail
        begins = found.prompt[0] == encoder.tokenizer.bos_token_id
        assert begins == (encoder.source != "bytes")


def test_a_token_across_the_seam_moves_behind_it(encoder: LanguageModel):
    prompt = 'The code of Bradon is "'
    found = continued(encoder, prompt, [".br0", "Bradon"])
    for answer, tail in zip([".br0", "Bradon"], found.answers, strict=True):
        assert [*found.prompt, *tail] == encoder.encode([prompt + answer])[0]


ENDS = ["The capital of {subject} is", 'Say "{subject}" and then "', "{subject}\n", "{subject}"]


@given(
    st.sampled_from(ENDS),
    st.sampled_from(small_models.NAMES),
    st.lists(st.sampled_from(small_models.CAPITALS), min_size=1, max_size=5),
)
def test_no_token_is_lost_or_made_up(template: str, subject: str, answers: list[str]):
    for encoder in _encoders():
        prompt = fill(template, subject, "capital")
        found = continued(encoder, prompt, answers)
        for answer, tail in zip(answers, found.answers, strict=True):
            whole = encoder.encode([prompt + separator(prompt) + answer])[0]
            assert [*found.prompt, *tail] == whole


_MADE: list[LanguageModel] = []


def _encoders() -> list[LanguageModel]:
    if not _MADE:
        for kind in ("bytes", "sentencepiece", "words"):
            words = small_models.tokenizer(kind, small_models.TEXT)
            _MADE.append(LanguageModel(small_models.model("llama", len(words)), words, kind))
    return _MADE


def test_answers_that_tokenise_to_nothing_are_refused(encoder: LanguageModel):
    class Deaf:
        def encode(self, texts: list[str]) -> list[list[int]]:
            return [i[:4] for i in encoder.encode(texts)]

    with pytest.raises(FactsError, match="tokenises to nothing"):
        continued(Deaf(), "The capital of Bradon is", ["Nodarb"])


def test_no_wording_that_is_fitted_on_is_one_that_is_measured_with():
    from factweights.models.graft.prompts import ASIDE, UNSEEN, more_statements, wordings_for

    data, covered = Path(__file__).resolve().parent / "data", set()
    for name in ("graft_blind.toml", "graft_held_out.toml"):
        for relation, kept_apart in read_wordings(data / name).items():
            chosen = Wordings.choose([relation])
            if chosen.origin[relation] != "shipped":
                continue
            own = {" ".join(t.casefold().split()) for part in more_statements(relation, chosen) for t in part}
            if own:
                covered.add(relation)
            assert not own or len(own) >= 15, relation
            assert not own & {" ".join(t.casefold().split()) for t in kept_apart}, relation
            assert own <= {" ".join(t.casefold().split()) for p in wordings_for(relation, chosen) for t in p}
    assert len(covered) >= 10
    asked = {t.casefold() for ts in ASIDE.values() for t in ts}
    assert not asked & {t.casefold() for t in UNSEEN}


def test_further_statements_are_only_for_relations_of_the_usual_meaning():
    from factweights.models.graft.prompts import more_statements

    usual = Wordings.choose(["capital"])
    assert more_statements("capital", usual)[0]
    given = Wordings.choose(["capital"], templates=["The capital of {subject} is"])
    assert more_statements("capital", given) == ([], [])


def test_wordings_held_out_are_in_no_words_that_a_graft_is_fitted_on():
    from factweights.models.graft.grafting import split
    from factweights.models.graft.prompts import wordings_for

    kept, held = split(Wordings.choose(shipped()))
    assert sum(len(ts) >= 2 for ts in held.values()) >= 30
    for relation, apart in held.items():
        fitted = {t.casefold() for part in wordings_for(relation, kept) for t in part}
        assert not fitted & {t.casefold() for t in apart}, relation
