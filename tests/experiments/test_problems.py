"""The problems against the papers' definitions, each checked by a second reading of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longspan.errors import InputError
from longspan.experiments import EXPERIMENTS
from longspan.experiments.problems import (
    Adding,
    ContinualReber,
    Copying,
    Counting,
    EmbeddedReber,
    GenerateSpikes,
    LongLag,
    MeasureSpikes,
    Multiplication,
    NoisyLag,
    Periodic,
    RegularLag,
    TemporalOrder,
    TwoSequences,
)

seeds = st.integers(0, 2**32)
SYMBOLS = "BTPSXVE"
#: The Reber grammar as its transition diagram is usually drawn: (node, symbol) → node.
DIAGRAM = {
    ("start", "B"): "fork", ("fork", "T"): "upper loop", ("fork", "P"): "lower loop",
    ("upper loop", "S"): "upper loop", ("upper loop", "X"): "upper end",
    ("lower loop", "T"): "lower loop", ("lower loop", "V"): "lower end",
    ("upper end", "X"): "lower loop", ("upper end", "S"): "last",
    ("lower end", "P"): "upper end", ("lower end", "V"): "last", ("last", "E"): "done",
}  # fmt: skip


def draw(problem, seed, count):
    return problem.draw(np.random.default_rng(seed), count)


def is_reber(string):
    node = "start"
    for symbol in string:
        if (node, symbol) not in DIAGRAM:
            return False
        node = DIAGRAM[node, symbol]
    return node == "done"


def is_embedded(string):
    return (
        string[0] == "B" and string[-1] == "E" and string[1] == string[-2] and string[1] in "TP"
        and is_reber(string[2:-2])
    )  # fmt: skip


def possible_after(prefix):
    """Symbols that may follow a prefix of an embedded string, by trying each of them."""

    def may_begin(string):
        node = "start"
        for number, symbol in enumerate(string):
            if number == 0:
                fits = symbol == "B"
            elif number == 1:
                fits = symbol in "TP"
            elif node != "done":
                fits = (node, symbol) in DIAGRAM
                node = DIAGRAM.get((node, symbol))
            elif string[number - 1] == "E" and is_reber(string[2:number]):
                fits = symbol == string[1]
            else:
                fits = symbol == "E"
            if not fits:
                return False
        return True

    return {symbol for symbol in SYMBOLS if may_begin(prefix + symbol)}


def words(sequences):
    """The strings of an embedded Reber draw, with the last target as their end."""
    ends = np.cumsum(sequences.mask.sum(1))
    last = sequences.targets.argmax(1)[ends - 1]
    return [
        "".join(SYMBOLS[k] for k in row[:length]) + SYMBOLS[end]
        for row, length, end in zip(sequences.inputs, sequences.lengths, last, strict=True)
    ]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_problem_is_seeded_and_consistent(name):
    problem = EXPERIMENTS[name].problem
    assert 0.0 <= problem.chance < 1.0
    for count in (0, 1, 4):
        found, again = (draw(problem, 7, count) for _ in range(2))
        for mine, same in zip(vars(found).values(), vars(again).values(), strict=True):
            np.testing.assert_array_equal(mine, same)
        assert len(found) == len(found.mask) == len(found.inputs) == count
        assert found.mask.sum() == len(found.targets) == len(found.truth)
        assert not (found.mask & ~found.steps).any()
        assert (found.mask.sum(1) > 0).all()
        assert found.targets.shape == found.truth.shape == (len(found.truth), problem.output_size)
        assert found.dense(problem.input_size).shape == (*found.mask.shape, problem.input_size)
        assert not found.dense(problem.input_size)[~found.steps].any()
        assert problem.correct(found.truth, found).tolist() == [True] * count
    other = draw(problem, 8, 4)
    if "periodic" not in name:
        assert found.inputs.shape != other.inputs.shape or (found.inputs != other.inputs).any()


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_wrong_answer_to_one_sequence_is_seen_and_no_other(name):
    problem = EXPERIMENTS[name].problem
    found = draw(problem, 3, 3)
    outputs = found.truth.copy()
    place = found.mask[0].sum() + found.mask[1].sum() - 1  # the last target of the second
    outputs[place] = 1.0 - outputs[place] if problem.output_size > 1 else outputs[place] + 0.6
    assert problem.correct(outputs, found).tolist() == [True, False, True]


@given(seeds)
@settings(max_examples=25, deadline=None)
def test_every_embedded_reber_string_is_one(seed):
    found = draw(EmbeddedReber(), seed, 20)
    strings = words(found)
    assert all(map(is_embedded, strings))
    truth = iter(found.truth)
    for string, length in zip(strings, found.lengths, strict=True):
        assert len(string) == length + 1
        for step in range(1, length + 1):
            allowed = {SYMBOLS[k] for k in np.flatnonzero(next(truth))}
            assert allowed == possible_after(string[:step])
            assert string[step] in allowed


def test_reber_branches_are_drawn_evenly():
    strings = words(draw(EmbeddedReber(), 0, 4000))
    assert abs(np.mean([s[1] == "T" for s in strings]) - 0.5) < 0.03
    assert abs(np.mean([s[3] == "T" for s in strings]) - 0.5) < 0.03
    assert min(map(len, strings)) == 9
    # Five symbols, and then: each loop and each way back is taken with probability 1/2.
    assert abs(np.mean(list(map(len, strings))) - 12.0) < 0.3


@given(seeds, st.integers(1, 200))
@settings(max_examples=25, deadline=None)
def test_a_continual_stream_is_embedded_strings_one_after_the_other(seed, length):
    found = draw(ContinualReber(length), seed, 2)
    assert found.inputs.shape == (2, length)
    rows = found.truth.reshape(2, length, -1)
    for row, truth in zip(found.inputs, rows, strict=True):
        stream, begin = "".join(SYMBOLS[k] for k in row), 0
        for end in range(1, length + 1):
            prefix = stream[begin:end]
            if len(prefix) > 8 and is_embedded(prefix):
                assert truth[end - 1].tolist() == [1, 0, 0, 0, 0, 0, 0]  # then comes B
                begin = end
            else:
                allowed = {SYMBOLS[k] for k in np.flatnonzero(truth[end - 1])}
                assert allowed == possible_after(prefix)
    following = found.targets.argmax(1).reshape(2, length)
    np.testing.assert_array_equal(following[:, :-1], found.inputs[:, 1:])


@given(seeds, st.integers(2, 40))
@settings(max_examples=25, deadline=None)
def test_regular_and_noisy_lag(seed, p):
    regular, noisy = draw(RegularLag(p), seed, 5), draw(NoisyLag(p), seed, 5)
    for found in (regular, noisy):
        assert found.inputs.shape == (5, p)
        assert set(found.inputs[:, 0]) <= {p - 1, p}
    following = regular.targets.argmax(1).reshape(5, p)
    np.testing.assert_array_equal(regular.inputs[:, 1:], np.tile(np.arange(p - 1), (5, 1)))
    np.testing.assert_array_equal(following[:, :-1], regular.inputs[:, 1:])
    np.testing.assert_array_equal(following[:, -1], regular.inputs[:, 0])
    assert (noisy.inputs[:, 1:] < p - 1).all()
    last = np.cumsum(noisy.mask.sum(1)) - 1
    np.testing.assert_array_equal(noisy.targets[last].argmax(1), noisy.inputs[:, 0])


@given(seeds, st.integers(1, 30), st.integers(1, 30))
@settings(max_examples=25, deadline=None)
def test_long_lag(seed, q, p):
    e, b, x = p, p + 1, p + 2
    found = draw(LongLag(q, p), seed, 6)
    for row, length, target in zip(found.inputs, found.lengths, found.targets, strict=True):
        row = row[:length]
        assert length >= q + 3  # with the symbol asked for: q + 4
        assert row[0] == b
        assert row[1] in (x, x + 1)
        assert row[-1] == e
        assert (row[2:-1] < p).all()
        assert target.argmax() == row[1] - x
    np.testing.assert_array_equal(found.mask.argmax(1), found.lengths - 1)


def test_long_lag_has_a_geometric_number_of_further_distractors():
    found = draw(LongLag(50, 50), 0, 20_000)
    k = found.lengths - 53
    assert k.min() == 0
    for more in range(12):  # P(k > more) = 0.9^(more + 1)
        assert abs(np.mean(k > more) - 0.9 ** (more + 1)) < 0.015
    assert abs(found.lengths.mean() + 1 - (50 + 13)) < 0.3  # mean k is 9
    counts = np.bincount(found.inputs[found.steps], minlength=54)[:50]
    assert abs(counts / counts.mean() - 1.0).max() < 0.05


@given(seeds, st.integers(20, 60))
@settings(max_examples=40, deadline=None)
def test_adding_and_multiplication(seed, T):
    for problem, low, neutral in ((Adding(T), -1.0, 0.0), (Multiplication(T), 0.0, 1.0)):
        found = draw(problem, seed, 8)
        for row, length, target in zip(found.inputs, found.lengths, found.targets, strict=True):
            values, markers = row[:length].T.astype(float)
            assert T <= length <= T + T // 10
            assert values.min() >= low
            assert values.max() <= 1.0
            assert markers[0] == markers[-1] == -1.0
            assert set(markers[1:-1]) <= {0.0, 1.0}
            marked = np.flatnonzero(markers == 1.0)
            assert 1 <= len(marked) <= 2
            assert marked.min() < 10 or len(marked) == 1  # then the first of all was marked
            assert marked.max() < T // 2
            told = [*values[marked], *[neutral] * (2 - len(marked))]
            wanted = 0.5 + sum(told) / 4.0 if low < 0 else told[0] * told[1]
            assert target[0] == pytest.approx(wanted, abs=1e-6)
        assert (found.mask.argmax(1) == found.lengths - 1).all()
        shifted = found.truth + np.array([[0.0399], [0.0401]] * 4, np.float32)
        assert problem.correct(shifted, found).tolist() == [True, False] * 4


def test_markers_are_drawn_evenly():
    found = draw(Adding(100), 0, 20_000)
    marked = found.inputs[..., 1] == 1.0
    rare = np.mean(marked.sum(1) == 1)  # 1/10, or 9/10 · 1/49 for the second
    assert abs(rare - (0.1 + 0.9 / 49)) < 0.01
    first = marked[:, :10].sum(1)
    assert first.min() >= 0
    share = marked[:, 10:50].mean(0)  # each of the others by the second mark alone
    assert abs(share * 49 - 1.0).max() < 0.15
    assert not marked[:, 50:].any()
    assert abs(np.bincount(found.lengths - 100) / 20_000 - 1 / 11).max() < 0.01


def test_chance_of_adding_and_multiplication():
    for problem, answer in ((Adding(100), 0.5), (Multiplication(100), 0.04)):
        found = draw(problem, 1, 20_000)
        outputs = np.full_like(found.targets, answer)
        # The rare cases with one marked value make it a little larger than without them.
        assert abs(problem.correct(outputs, found).mean() - problem.chance) < 0.03


@pytest.mark.parametrize("task", ["a", "b", "c"])
@pytest.mark.parametrize("N", [1, 3])
def test_two_sequences(task, N):
    found = draw(TwoSequences(100, N, task), 0, 4000)
    values = found.inputs[..., 0]
    first = found.truth[:, 0] == (0.2 if task == "c" else 1.0)
    assert abs(first.mean() - 0.5) < 0.03
    told = np.where(first, 1.0, -1.0)[:, None]
    noise = values[:, :N] - told
    if task == "b":
        assert abs(noise.var() - 0.2) < 0.02
    else:
        assert not noise.any()
    rest = values[:, N:][found.steps[:, N:]]
    assert abs(rest.mean()) < 0.01
    assert abs(rest.var() - 0.2) < 0.01
    assert found.lengths.min() == 100
    assert found.lengths.max() == 110
    if task == "c":
        assert set(np.unique(found.truth)) == {np.float32(0.2), np.float32(0.8)}
        assert abs((found.targets - found.truth).var() - 0.1) < 0.01
    else:
        np.testing.assert_array_equal(found.targets, found.truth)
        assert set(np.unique(found.truth)) == {0.0, 1.0}


@pytest.mark.parametrize(("relevant", "names"), [(2, "QRSU"), (3, "QRSUVABC")])
def test_temporal_order(relevant, names):
    letters, places = "abcdXYEB", {2: ((10, 20), (50, 60)), 3: ((10, 20), (33, 43), (66, 76))}
    rules = {
        "XX": "Q", "XY": "R", "YX": "S", "YY": "U", "XXX": "Q", "XXY": "R", "XYX": "S",
        "XYY": "U", "YXX": "V", "YXY": "A", "YYX": "B", "YYY": "C",
    }  # fmt: skip
    found = draw(TemporalOrder(relevant), 0, 500)
    seen = set()
    for row, length, target in zip(found.inputs, found.lengths, found.targets, strict=True):
        string = "".join(letters[k] for k in row[:length])
        assert 100 <= length <= 110
        assert string[0] == "E"
        assert string[-1] == "B"
        at = [k + 1 for k, letter in enumerate(string) if letter in "XY"]
        assert len(at) == relevant
        for place, (low, high) in zip(at, places[relevant], strict=True):
            assert low <= place <= high
            seen.add(place)
        assert set(string[1:-1]) <= set("abcdXY")
        assert names[target.argmax()] == rules["".join(string[k - 1] for k in at)]
    assert seen == {k for low, high in places[relevant] for k in range(low, high + 1)}


@given(seeds, st.integers(1, 60))
@settings(max_examples=25, deadline=None)
def test_copying(seed, T):
    found = draw(Copying(T), seed, 3)
    assert found.inputs.shape == (3, T + 20)
    wanted = found.targets.argmax(1).reshape(3, -1)
    for row, target in zip(found.inputs, wanted, strict=True):
        letters, rest = row[:10].tolist(), row[10:].tolist()
        assert max(letters) < 8
        assert rest == [8] * (T - 1) + [9] + [8] * 10
        assert target.tolist() == [8] * (T + 10) + letters


@given(seeds, st.integers(1, 20), st.integers(1, 4), st.integers(1, 6))
@settings(max_examples=40, deadline=None)
def test_spikes(seed, F, offsets, spikes):
    measured = draw(MeasureSpikes(F, offsets, spikes), seed, 3)
    targets = measured.targets.reshape(3, spikes)
    for row, length, own in zip(measured.inputs[..., 0], measured.lengths, targets, strict=True):
        times = np.flatnonzero(row)
        assert times[0] == 0
        assert times[-1] == length - 1
        np.testing.assert_array_equal(np.diff(times), F + own)
        assert own.max() < offsets
    made = draw(GenerateSpikes(F, offsets, spikes), seed, 3)
    rows = np.split(made.targets[:, 0], np.cumsum(made.lengths)[:-1])
    for row, length, own in zip(made.inputs[..., 0], made.lengths, rows, strict=True):
        times = np.flatnonzero(own)
        assert len(times) == spikes
        assert times[-1] == length - 1
        for begin, end in zip([0, *times[:-1] + 1], times, strict=True):
            wait = end - begin + (begin > 0)
            assert (row[begin : end + 1] == wait - F).all()


def test_periodic():
    for shape, wanted in (
        ("cosine", [0.0, 0.5, 1.0, 0.5]),
        ("triangle", [0.0, 0.5, 1.0, 0.5]),
        ("rectangle", [0.0, 0.0, 1.0, 1.0]),
    ):
        found = draw(Periodic(shape, 4, 2), 0, 2)
        np.testing.assert_allclose(found.targets[:, 0], wanted * 4, atol=1e-7)
        assert (found.inputs == 1.0).all()


@pytest.mark.parametrize(("letters", "alphabet"), [(2, "abST"), (3, "abcST")])
def test_counting(letters, alphabet):
    found = Counting(letters).strings(np.array([1, 3]))
    rows = np.split(found.targets, np.cumsum(found.lengths)[:-1])
    for n, row, length, own in zip((1, 3), found.inputs, found.lengths, rows, strict=True):
        string = "".join(alphabet[k] for k in row[:length])
        assert string == "S" + "".join(letter * n for letter in "abc"[:letters])
        allowed = [{alphabet[k] for k in np.flatnonzero(each)} for each in own]
        for step, each in enumerate(allowed):
            following = (string + "T")[step + 1]
            assert each == ({"a", "b"} if string[step] == "a" else {following})
    n = (draw(Counting(letters, 2, 5), 0, 500).lengths - 1) // letters
    assert set(n) == {2, 3, 4, 5}


def test_mistakes_are_named():
    for make in (
        lambda: Adding(19), lambda: Multiplication(0), lambda: TwoSequences(5, 6),
        lambda: TwoSequences(5, 0), lambda: RegularLag(1), lambda: NoisyLag(1),
        lambda: LongLag(0, 5), lambda: LongLag(5, 0), lambda: TemporalOrder(4),
        lambda: Copying(0), lambda: ContinualReber(0), lambda: MeasureSpikes(0),
        lambda: MeasureSpikes(5, 0), lambda: GenerateSpikes(5, 2, 0), lambda: Periodic("cosine", 1),
        lambda: Periodic("cosine", 4, 0), lambda: Counting(4), lambda: Counting(2, 0),
        lambda: Counting(2, 5, 4),
    ):  # fmt: skip
        with pytest.raises(InputError, match="must be"):
            make()
