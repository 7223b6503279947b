from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from odits.figures.training import DASHES, load_figure, losses_figure
from odits.tracking.store import Point

START = datetime(2026, 1, 1, tzinfo=UTC)


def curve(*values: float, every_s: float = 30) -> tuple[Point, ...]:
    return tuple(
        Point(number, value, START + timedelta(seconds=every_s * number)) for number, value in enumerate(values, 1)
    )


OURS = {
    "loss/image": curve(3.0, 2.0),
    "loss/text": curve(3.5, 2.5),
    "loss/total": curve(3.25, 2.25),
    "epoch_seconds": curve(9, 9),
    "system/cpu_utilization_percentage": curve(50, 70, 60),
    "system/system_memory_usage_megabytes": curve(2500, 2600, 2550),
    "system/system_memory_usage_percentage": curve(10, 11, 10),
}


def test_the_three_losses_of_each_run() -> None:
    figure = losses_figure({"first": OURS, "second": OURS, "no losses": {"a": curve(1)}})
    assert figure is not None
    assert [note.text for note in figure.layout.annotations] == [
        "<b>Image loss</b>",
        "<b>Text loss</b>",
        "<b>Total loss</b>",
    ]
    assert [(line.name, line.yaxis, tuple(line.y)) for line in figure.data] == [
        (name, axis, values)
        for axis, values in (("y", (3.0, 2.0)), ("y2", (3.5, 2.5)), ("y3", (3.25, 2.25)))
        for name in ("first", "second")
    ]
    assert [line.name for line in figure.data if line.showlegend] == ["first", "second"], "one place in the legend each"


def test_runs_differ_by_more_than_colour() -> None:
    figure = losses_figure({f"run {number}": OURS for number in range(len(DASHES))})
    assert figure is not None
    looks = {(line.line.color, line.line.dash, line.marker.symbol) for line in figure.data}
    assert len(looks) == len({look[0] for look in looks}) == len({look[1] for look in looks}) == len(DASHES)


@pytest.mark.parametrize("name", ["train/loss", "loss", "metrics/total_loss", "Total loss"])
def test_a_loss_of_another_training_is_its_total(name: str) -> None:
    figure = losses_figure({"theirs": {name: curve(1.0, 0.5), "learning_rate": curve(1, 1)}})
    assert figure is not None
    assert [note.text for note in figure.layout.annotations] == ["<b>Total loss</b>"]


def test_the_load_is_in_minutes_and_gigabytes() -> None:
    figure = load_figure({"ours": OURS})
    assert figure is not None
    assert [note.text for note in figure.layout.annotations] == ["<b>Processor (%)</b>", "<b>Memory (GB)</b>"]
    cpu, memory = figure.data
    assert list(cpu.x) == pytest.approx([0.0, 0.5, 1.0])
    assert list(memory.y) == pytest.approx([2.5, 2.6, 2.55])


def test_neptunes_names_and_graphics_cards() -> None:
    theirs = {"monitoring/1f2e/cpu": curve(5), "monitoring/1f2e/memory": curve(2.5), "monitoring/1f2e/gpu": curve(90)}
    theirs |= {"monitoring/1f2e/gpu_memory": curve(10.5)}
    ours = {**OURS, "system/gpu_0_utilization_percentage": curve(80), "system/gpu_1_utilization_percentage": curve(70)}
    figure = load_figure({"theirs": theirs, "ours": ours})
    assert figure is not None
    assert [note.text for note in figure.layout.annotations] == [
        "<b>Processor (%)</b>",
        "<b>Memory (GB)</b>",
        "<b>GPU (%)</b>",
        "<b>GPU memory (GB)</b>",
    ]
    assert [line.y[0] for line in figure.data if line.yaxis == "y3"] == [90, 80, 70]
    assert [line.y[0] for line in figure.data if line.yaxis == "y4"] == [10.5]


def test_samples_sent_together_are_spread_over_the_time_before() -> None:
    name = "system/cpu_utilization_percentage"
    sent = [Point(0, 1, START), *(Point(step, 1, START + timedelta(minutes=2)) for step in (1, 2, 3, 4))]
    figure = load_figure({"run": {name: sent}})
    assert figure is not None
    assert list(figure.data[0].x) == pytest.approx([0, 0.5, 1, 1.5, 2])
    timeless = load_figure({"run": {name: [Point(3, 1, None), Point(4, 2, None)]}})
    assert timeless is not None and list(timeless.data[0].x) == [3, 4]


def test_nothing_to_draw() -> None:
    assert losses_figure({}) is None and losses_figure({"run": {"loss": ()}}) is None
    assert load_figure({"run": {"loss": curve(1)}}) is None


def test_names_from_outside_are_text() -> None:
    figure = losses_figure({"<b>bold</b> " + "x" * 80: OURS, "other": OURS})
    assert figure is not None
    assert figure.data[0].name.startswith("&lt;b&gt;bold") and figure.data[0].name.endswith("…")
