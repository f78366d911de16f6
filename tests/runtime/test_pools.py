"""Many sessions that take what comes together: each answers, to the bit, as it would alone."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from formats.kept import FOLDER
from memfold.errors import InputError
from memfold.runtime import Pipeline, load
from memfold.runtime.monitoring.watching import MOST_SERIES
from tasks.small import SMALL

WORDS = ["a", "good", "film", "as", "long", "and", "dull", "it", "is"]


def inputs_of(name: str, k: int) -> list[Any]:
    """What one session is given, of a length of its own."""
    rng = np.random.default_rng(k)
    if name in ("command", "transcribe"):
        sound = rng.normal(0, 0.1, 4000 + 700 * k).astype(np.float32)
        return np.split(sound, np.sort(rng.integers(0, len(sound), 9)))
    if name == "anomaly":
        series = ("", "", "west", "east")[k % 4]
        values = rng.normal(0, 1, 12 + k)
        if series:
            return [{"ds": 300 + i // 2, "y": float(v), "unique_id": f"{series}{i % 2}"} for i, v in enumerate(values)]
        return [f"{300 + i},{value:.4f}" for i, value in enumerate(values)]
    return [" ".join(rng.choice(WORDS, 4)) for _ in range(2)]


@pytest.fixture(scope="module", params=["anomaly", "command", "generate", "sentiment", "transcribe"])
def named(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Pipeline[Any]]:
    if request.param != "transcribe":
        pipeline = load(FOLDER / request.param / "model")
        if request.param == "command":  # so that something is heard
            pipeline.settings = replace(pipeline.settings, threshold=-3.0)
        return request.param, pipeline
    folder = tmp_path_factory.mktemp("causal")
    small = SMALL["transcribe"](folder)
    small.parameters |= {"causal": True}
    small.fitted().save(folder / "model")
    return request.param, load(folder / "model")


def test_sessions_together_answer_as_each_alone(named: tuple[str, Pipeline[Any]]) -> None:
    name, pipeline = named
    count = 7
    given = [inputs_of(name, k) for k in range(count)]
    alone = []
    for mine in given:
        session = pipeline.open()
        alone.append([*(answer for one in mine for answer in session.push(one)), *session.finish()])
    pool = pipeline.pool(count)
    sessions = [pool.open() for _ in given]
    rng, answers, at = np.random.default_rng(0), [[] for _ in given], [0] * count
    while some := [k for k in range(count) if at[k] < len(given[k])]:
        chosen = rng.permutation(some)[: rng.integers(1, len(some) + 1)].tolist()
        for k, found in zip(
            chosen, pool.push([sessions[k] for k in chosen], [given[k][at[k]] for k in chosen]), strict=True
        ):
            assert isinstance(found, list), found
            answers[k] += found
            at[k] += 1
        if rng.random() < 0.2:  # one goes on in another place
            moved = int(rng.integers(count))
            state = sessions[moved].state
            pool.close(sessions[moved])
            sessions[moved] = pool.resume(state)
    for k, session in enumerate(sessions):
        assert answers[k] + session.finish() == alone[k]
    assert any(alone)


def test_what_is_wrong_in_one_session_is_told_to_it_alone() -> None:
    pool = load(FOLDER / "anomaly" / "model").pool(2)
    first, second = pool.open(), pool.open()
    wrong, right = pool.push([first, second], ["300,high", "300,0.5"])
    assert "no number for 'y'" in str(wrong)
    assert isinstance(right, list)
    assert right[0]["y"] == 0.5
    with pytest.raises(InputError, match="2 sessions are open, which is the most"):
        pool.open()
    pool.close(first)
    with pytest.raises(InputError, match="not the state"):
        pool.resume(b"no state")
    assert len(pool) == 1


def test_a_session_among_many_watches_so_many_series_and_no_more() -> None:
    pool = load(FOLDER / "anomaly" / "model").pool(1)
    session = pool.open()
    for k in range(MOST_SERIES):
        (found,) = pool.push([session], [{"ds": 300, "y": 0.5, "unique_id": str(k)}])
        assert isinstance(found, list)
    (found,) = pool.push([session], [{"ds": 300, "y": 0.5, "unique_id": "one more"}])
    assert "100 series at most" in str(found)
    (found,) = pool.push([session], [{"ds": 301, "y": 0.5, "unique_id": "0"}])
    assert isinstance(found, list)
    pool.close(session)
    assert len(pool) == 0
