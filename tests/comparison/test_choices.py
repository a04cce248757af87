"""What is compared, at which size, and what is tried."""

from __future__ import annotations

import math

import numpy as np
import pytest

from longspan import Classifier
from longspan.comparison import CompareConfig
from longspan.comparison.contenders import cells_of, contenders
from longspan.comparison.matching import match_parameters, match_time, relative_time
from longspan.comparison.subjects import SUBJECTS, subject_of
from longspan.comparison.tuning import at_the_edge, best, candidates
from longspan.data.tagged import TaggedText
from longspan.errors import InputError
from longspan.tasks import TASKS
from longspan.tasks.classify.config import ClassifyConfig
from longspan.tasks.estimator import checked
from longspan.tasks.forecast.config import ForecastConfig
from longspan.tasks.tag.config import TagConfig
from longspan.tasks.translate.config import TranslateConfig


def named(config, *names, task="classify", **more):
    return contenders(config, names or None, {}, task=task, **more)


def test_names_stand_for_cells_directions_and_options():
    found = named(ClassifyConfig, "gru", "bilstm", "lstm:layer_norm=true:num-layers=2", "rnn")
    assert [each.name for each in found] == ["gru", "bilstm", "lstm:layer_norm=true:num-layers=2",
                                             "rnn"]  # fmt: skip
    assert [each.config.cell for each in found] == ["gru", "lstm", "lstm", "rnn"]
    assert [each.config.bidirectional for each in found] == [False, True, False, False]
    assert found[2].config.layer_norm is True
    assert found[2].config.num_layers == 2
    assert named(ClassifyConfig, "lstm", "gru:pooling=none")[1].config.pooling is None


def test_by_default_all_cells_of_the_task():
    assert [each.name for each in named(ForecastConfig)] == ["lstm", "gru", "rnn"]
    assert [each.name for each in named(TranslateConfig)] == ["lstm", "gru"]
    assert cells_of(TagConfig) == ("lstm", "gru")


def test_a_task_that_reads_both_ways_takes_both_names():
    found = named(TagConfig, "bilstm", "gru", task="tag", always_both=True)
    assert [each.config.cell for each in found] == ["lstm", "gru"]


@pytest.mark.parametrize(
    ("message", "config", "names", "more"),
    [
        ("Unknown cell 'lsmt'. Did you mean 'lstm'", ForecastConfig, ("lsmt", "gru"), {}),
        ("Known: bigru, bilstm, birnn, gru, lstm, rnn", ClassifyConfig, ("x", "gru"), {}),
        ("no 'bilstm': it cannot read in both", ForecastConfig, ("bilstm", "gru"), {}),
        ("does not allow the cell 'rnn'. Its cells: lstm, gru, bi", TranslateConfig,
         ("rnn", "gru"), {}),
        ("'lstm' and 'bilstm' are the same here. It reads in both", TagConfig,
         ("lstm", "bilstm"), {"always_both": True}),
        ("'bilstm' and 'lstm' are the same here. Leave", TranslateConfig, ("bilstm", "lstm"), {}),
        ("'lstm' and 'lstm' are the same", ForecastConfig, ("lstm", "lstm"), {}),
        ("Unknown option 'layer_nrom'", ForecastConfig, ("lstm:layer_nrom=true", "gru"), {}),
        ("must be an option and its value", ForecastConfig, ("lstm:layer_norm", "gru"), {}),
        ("such as lstm:encoder_layers=2", TranslateConfig, ("lstm:attention", "gru"), {}),
        ("cannot have a seed of its own", ForecastConfig, ("lstm:seed=3", "gru"), {}),
        ("cannot have a horizon of its own: the data", ForecastConfig, ("lstm:horizon=3", "gru"),
         {"shared": ("horizon",)}),
        ("layer_norm needs cell='lstm'", ForecastConfig, ("lstm", "gru:layer_norm=true"), {}),
        ("`num_layers` = 'two'", ForecastConfig, ("lstm:num_layers=two", "gru"), {}),
    ],
)  # fmt: skip
def test_mistakes_in_names(message, config, names, more):
    with pytest.raises(InputError, match=r".*".join(message.split("*"))):
        named(config, *names, **more)


@pytest.mark.parametrize(
    ("config", "names", "always_both"),
    [
        (TagConfig, ("lstm", "bilstm"), True), (ForecastConfig, ("lstm", "lstm"), False),
        (TranslateConfig, ("bilstm", "lstm"), False), (TranslateConfig, ("lstm", "bilstm"), False),
        (ClassifyConfig, ("bilstm:num_layers=2", "lstm:bidirectional=true:num_layers=2"), False),
    ],
)  # fmt: skip
def test_advice_against_twins_can_be_taken(config, names, always_both):
    with pytest.raises(InputError, match="are the same here") as raised:
        named(config, *names, always_both=always_both)
    advised = str(raised.value).split("such as ")[1].removesuffix(".").split(" or ")
    assert ("bidirectional" in str(raised.value).split("such as")[1]) == (
        "bidirectional" in config.model_fields
    )
    for name in advised:
        assert len(named(config, names[0], name, always_both=always_both)) == 2


def test_a_cell_is_no_option_of_a_comparison():
    with pytest.raises(InputError, match="name the cells to compare"):
        contenders(ForecastConfig, None, {"cell": "gru"}, task="forecast")


@pytest.mark.parametrize(
    ("message", "options"),
    [
        ("at least two", {"cells": "lstm"}),
        ("`seeds` = 0", {"seeds": 0}),
        ("`trials` = 0", {"trials": 0}),
        ("tune must name different", {"tune": ["dropout", "dropout"]}),
        ("`tune` = 'depth'", {"tune": ["depth"]}),
        ("lowest and the highest", {"learning_rates": (0.1, 0.01)}),
        ("learning_rates would not be tried: tune.* does not name learning_rate",
         {"tune": ["dropout"], "learning_rates": (1e-4, 1e-2)}),
        ("learning_rates would not be tried: trials=1",
         {"trials": 1, "learning_rates": (1e-4, 1e-2)}),
        ("dropout would not be tuned: trials=1", {"trials": 1, "tune": ["dropout"]}),
        ("learning_rate would not be tuned: trials=1", {"trials": 1, "tune": ["learning_rate"]}),
        ("`match` = 'size'", {"match": "size"}),
        ("Unknown option 'seed'", {"seed": 1}),
    ],
)  # fmt: skip
def test_mistakes_in_the_options(message, options):
    with pytest.raises(InputError, match=message):
        checked(CompareConfig, options)


def test_options_that_are_used_are_taken():
    assert CompareConfig(trials=1).tune == ("learning_rate",)
    both = {"tune": ["dropout", "learning_rate"], "learning_rates": (1e-4, 1e-2), "trials": 2}
    assert CompareConfig(**both).learning_rates == (1e-4, 1e-2)


def test_cells_are_cut_at_commas():
    for given in ("lstm,gru, rnn", ["lstm,gru", "rnn"], ("lstm", "gru", "rnn")):
        assert CompareConfig(cells=given).cells == ("lstm", "gru", "rnn")
    assert CompareConfig(cells="none").cells is None


def test_tasks_by_name_class_and_estimator():
    assert subject_of("classify") == (SUBJECTS["classify"], {})
    assert subject_of(Classifier) == (SUBJECTS["classify"], {})
    kind, options = subject_of(Classifier(hidden_size=9, dropout=None))
    assert kind is SUBJECTS["classify"]
    assert options == {"hidden_size": 9}
    with pytest.raises(InputError, match="Did you mean 'classify'"):
        subject_of("clasify")
    for task in ("features", dict):
        with pytest.raises(InputError, match="no test scores"):
            subject_of(task)


def test_every_task_that_learns_from_a_file_can_be_compared():
    from longspan.cli.compare import compare as commands

    # Features have no test scores.
    assert set(SUBJECTS) == set(TASKS) - {"features"}
    for name, kind in SUBJECTS.items():
        assert kind.task == name
        assert name in commands
        assert set(kind.shared) <= set(kind.kind().Config.model_fields)
        assert {"cell", "hidden_size", "seed", "learning_rate", "dropout", "weight_decay"} <= set(
            kind.kind().Config.model_fields
        )


def test_a_checksum_tells_data_apart():
    parts = [
        {"a": ["x", "y"]}, {"a": [["x"], ["y"]]}, {"a": ["xy"]}, {"b": ["x", "y"]},
        {"a": np.array([1.0, 2.0])}, {"a": np.array([[1.0, 2.0]])}, {"a": np.array([1, 2])},
        {"a": [1.0, 2.0]}, {"a": [1, 2]}, {"a": b"x"}, {"a": "x"}, {"a": None}, {"a": []},
        {"a": TaggedText([["x"]], [["y"]])}, {"a": TaggedText([["x"]], None, ["y"])},
        {"a": np.array(["x", None], object)},
    ]  # fmt: skip

    class Own(SUBJECTS["forecast"]):
        parts = None

    found = set()
    for each in parts:
        own = Own.__new__(Own)
        own.parts = each
        assert own.digest() == own.digest()
        found.add(own.digest())
    assert len(found) == len(parts)


@pytest.mark.parametrize("start", [1, 7, 64, 3000])
@pytest.mark.parametrize("wanted", [1, 90, 18_944, 5_000_000])
def test_the_size_with_the_nearest_number_of_parameters(start, wanted):
    calls = []

    def count(h):
        calls.append(h)
        return 4 * h * (h + 10) + 37 * h + 5

    size, found = match_parameters(count, wanted, start)
    sizes = np.arange(1, 2000)
    assert size == sizes[np.abs(count(sizes) - wanted).argmin()]
    assert found == count(size)
    assert len(calls) < 26  # networks are built for it


def test_sizes_are_multiples_of_a_step():
    size, found = match_parameters(lambda h: h * h, 101 * 101, 30, 2)
    assert size in (100, 102)
    assert found == size**2
    with pytest.raises(InputError, match="does not depend on hidden_size"):
        match_parameters(lambda h: 7, 100, 30)


@pytest.mark.parametrize("exponent", [0.6, 1.0, 2.0])
@pytest.mark.parametrize("right", [20, 64, 150])
def test_the_size_that_takes_as_long(exponent, right):
    rng = np.random.default_rng(0)
    size, ratio = match_time(
        lambda h: (h / right) ** exponent * math.exp(0.01 * rng.normal()), 64
    )  # fmt: skip
    assert (size / right) ** exponent == pytest.approx(1.0, abs=0.08)
    assert ratio == pytest.approx(1.0, abs=0.06)


def test_a_time_out_of_reach_ends_at_the_nearest_that_was_tried():
    tried = {}
    size, ratio = match_time(lambda h: tried.setdefault(h, 1.2 + h / 1e6), 64)
    assert ratio == tried[size] == min(tried.values())
    assert len(tried) <= 6


def test_times_are_compared_step_by_step():
    steps = np.array([9.0, 9.0, 1.0, 2.0, 3.0])
    own = np.stack([2 * steps, 2 * steps, 50 * steps])
    assert relative_time(own, np.stack([steps[:4]] * 3)) == 2.0
    assert relative_time(own[:, :1], own[:, :1]) == 1.0


def test_what_is_tried():
    five, nine = (candidates(n, ["learning_rate"], 0.01, None, 3) for n in (5, 9))
    assert five == nine[:5]
    assert five[0] == {}
    rates = [each["learning_rate"] for each in nine[1:]]
    # Eight points fill the eight eighths of the range, one each.
    places = sorted(int(8 * math.log(rate / 0.001) / math.log(100.0)) for rate in rates)
    assert places == list(range(8))
    assert candidates(1, ["dropout"], 0.01, None, 0) == [{}]
    assert candidates(5, ["learning_rate"], 0.01, None, 4) != five
    both = candidates(20, ["dropout", "learning_rate"], 0.01, (0.1, 0.2), 0)
    assert all(0.0 <= each["dropout"] <= 0.6 for each in both[1:])
    assert all(0.1 <= each["learning_rate"] <= 0.2 for each in both[1:])


def test_the_best_trial():
    assert best([0.5, 0.2, math.nan, 0.3]) == 1
    assert best([math.nan, 2.0]) == 1
    assert at_the_edge([1.0, 2.0, 3.0], 3.0)
    assert not at_the_edge([1.0, 2.0, 3.0], 2.0)
    assert not at_the_edge([1.0, 2.0], 1.0)


def test_a_test_file_of_classes_has_its_channels_found_by_name(tmp_path):
    lines = [f"{k},{k},{-k},{'xy'[k % 2]}" for k in range(8)]
    (tmp_path / "data.csv").write_text("\n".join(["id,a,b,label", *lines]))
    turned = [f"{k},{-k},{k},{'xy'[k % 2]}" for k in range(8)]
    (tmp_path / "test.csv").write_text("\n".join(["id,b,a,label", *turned]))
    subject = SUBJECTS["classify"](
        ClassifyConfig(), tmp_path / "data.csv", validation=tmp_path / "data.csv",
        test=tmp_path / "test.csv",
    )  # fmt: skip
    for part in (subject.training, subject.validation, subject.test):
        assert np.concatenate(part.data)[:, 0].tolist() == list(range(8))
