"""Find the recipe that free text means, by the phrases of recipes with slots for parameters."""

import re
from collections.abc import Iterable
from functools import lru_cache

from domain.idea import RecipeRef
from domain.recipe import Given, Recipe, fits
from domain.rehearsal import RecipeMatch

IDLE = frozenset({
    "a", "all", "an", "and", "at", "be", "by", "code", "for", "from", "i", "in", "into", "it",
    "its", "let", "need", "of", "on", "our", "please", "project", "repo", "repository", "should",
    "so", "that", "the", "their", "this", "to", "us", "want", "we", "with", "would", "you",
})  # fmt: skip
DENIED = frozenset({"avoid", "don't", "dont", "never", "no", "not", "revert", "undo", "without"})
_PART = re.compile(r"\{(?P<slot>\w+)\}|\[(?P<maybe>[^\]]+)\]|(?P<word>[^\s{\[]+)")
SPACE = r"\s+"
_VALUE = r"\"[^\"]+\"|'[^']+'|`[^`]+`|\S+?"
_WORD = re.compile(r"[^\s\"'`]+")
FUZZY = 0.45  # most that words without a whole phrase are worth


def match(goal: str, recipes: Iterable[Recipe]) -> tuple[RecipeMatch, ...]:
    """Return the recipes that the words may mean, the most likely first.

    Confidence is 1 where a phrase is all that was said, falls with every word that it leaves
    unexplained, and stays below one half where only single words fit.
    """
    found = [_best(goal.strip(), recipe) for recipe in recipes]
    likely = [each for each in found if each.confidence > 0.15]
    return tuple(sorted(likely, key=lambda each: (-each.confidence, each.recipe.name)))


def _best(goal: str, recipe: Recipe) -> RecipeMatch:
    matches = [_phrase(goal, phrase, recipe) for phrase in recipe.match]
    return max(
        matches,
        key=lambda each: (each.confidence, -len(each.missing)),
        default=RecipeMatch(recipe=RecipeRef(name=recipe.name), confidence=0, title=recipe.title),
    )


def _phrase(goal: str, phrase: str, recipe: Recipe) -> RecipeMatch:
    pattern, words = _compiled(phrase)
    for found in pattern.finditer(goal):
        params = {name: _bare(text) for name, text in found.groupdict().items() if text}
        if all(fits(recipe.params[name], text) for name, text in params.items()):
            return _matched(goal, found, params, recipe)
    said = {word.lower() for word in _words(goal)}
    share = len(words & said) / len(words)
    return _told(recipe, {}, FUZZY * share if share >= 0.5 else 0)


def _matched(
    goal: str, found: re.Match[str], params: dict[str, str], recipe: Recipe
) -> RecipeMatch:
    rest = _words(goal[: found.start()]) + _words(goal[found.end() :])
    unsaid = [word for word in rest if word.lower() not in IDLE]
    explained = len(_words(found.group(0)))
    confidence = explained / (explained + len(unsaid))
    if not DENIED.isdisjoint(word.lower() for word in rest):
        confidence *= 0.3
    return _told(recipe, params, confidence)


def _told(recipe: Recipe, params: dict[str, str], confidence: float) -> RecipeMatch:
    given: dict[str, Given] = dict(params)
    missing = tuple(
        name
        for name, parameter in recipe.params.items()
        if parameter.required and name not in params
    )
    return RecipeMatch(
        recipe=RecipeRef(name=recipe.name, params=given),
        confidence=round(confidence, 3),
        title=recipe.title,
        missing=missing,
    )


@lru_cache(maxsize=1_024)
def _compiled(phrase: str) -> tuple[re.Pattern[str], frozenset[str]]:
    """Return a pattern for a phrase such as `rename [the] {symbol} to {new_name}`, its words."""
    pattern = ""
    words = set()
    for part in _PART.finditer(phrase):
        if part["maybe"]:
            choices = "|".join(re.escape(word) for word in part["maybe"].split("|"))
            pattern += rf"(?:\s+(?:{choices}))?"
        elif part["slot"]:
            pattern += rf"\s+(?P<{part['slot']}>{_VALUE})"
        else:
            pattern += rf"\s+{re.escape(part['word'])}"
            words.add(part["word"].lower())
    bounded = rf"(?:^|(?<=\s)){pattern.removeprefix(SPACE)}(?=[\s.,;:!?]*(?:\s|$))"
    return re.compile(bounded, re.IGNORECASE), frozenset(words)


def _words(text: str) -> list[str]:
    return [word for each in _WORD.findall(text) if (word := each.strip(".,;:!?()"))]


def _bare(text: str) -> str:
    """Return a value without the quotes around it, or the punctuation behind it."""
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'`":
        return text[1:-1]
    return text.rstrip(".,;:!?")
