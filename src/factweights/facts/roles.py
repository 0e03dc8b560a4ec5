"""What other collections call subject, relation and answer."""

from collections.abc import Sequence

ROLES = ("subject", "relation", "answer")

# Words first, of which any three make a triple; then letters, which do so only among themselves.
_WORDS = {
    "subject": "subject sub subj head head_entity source entity item node1 start sub_label subject_label "
    "subjectlabel itemlabel",
    "relation": "relation rel predicate pred property prop attribute edge relation_label predicate_label "
    "predicatelabel relationlabel propertylabel prop_label relationship",
    "answer": "answer object obj tail tail_entity target value node2 end obj_label object_label objectlabel "
    "answerlabel valuelabel target_true",
}
_LETTERS = {"subject": "s h", "relation": "p r", "answer": "o t a"}
_TWO = ("relation", "answer")


def aliases(header: Sequence[str], *, two: bool = False) -> dict[str, int] | None:
    """The column of every role by the names that are common for it, in any case.

    Args:
        header: column names.
        two: whether the relation and the answer are enough.

    Returns:
        None unless every role has exactly one column.
    """
    lower = [name.strip().lstrip("?").casefold() for name in header]
    for words in (_WORDS, _LETTERS):
        found = {
            role: [i for i, n in enumerate(lower) if n in names.split()] for role, names in words.items()
        }
        found = {role: _canonical(role, lower, hits) for role, hits in found.items()}
        if all(len(hits) == 1 for hits in found.values()):
            return {role: hits[0] for role, hits in found.items()}
        if two and words is _WORDS and all(found[role] for role in _TWO):
            return {role: found[role][0] for role in _TWO}
    return None


def _canonical(role: str, lower: list[str], hits: list[int]) -> list[int]:
    """The column that has the very name of the role, if one of several does."""
    own = [i for i in hits if lower[i] == role]
    return own if len(own) == 1 else hits
