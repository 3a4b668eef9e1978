"""The curves of a job: reward while the selector trains, accuracy while the recipe is fine-tuned."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from webapp.jobs.figure_parts import Json, base_layout, end_dot, horizontal, line_trace, note

Row = Mapping[str, Any]

EXPLORING = {"epsilon": "exploring", "noise": "noise"}
"""What the figures of a round call the share of what it tries at random, and how that reads."""


def reward_data(events: Iterable[Row]) -> Json:
    """How the selector learnt, from the metric events: reward, its moving average, and how it explored.

    ``gap`` is what its greedy answers miss to the best known ones, as a share, after the episodes where it was judged.
    The published form learns in RECOVER, anew for each recipe that is tried: the newest training counts. It tells the
    ``best`` reward of any recipe so far, and the ``noise`` by which levels are explored.
    """
    told = [e["data"] for stage in ("SEARCH", "RECOVER") for e in _metrics(events, stage)]
    found = _once([data for data in told if {"reward", "gap"} & set(data)], "episode")
    rows = [row for row in found if "reward" in row]
    judged = [row for row in found if row.get("gap") is not None and "episode" in row]
    return {
        "episode": [row.get("episode", i + 1) for i, row in enumerate(rows)],
        "reward": [row["reward"] for row in rows],
        "average": [row.get("average", row["reward"]) for row in rows],
        **{name: [row.get(name) for row in rows] for name in (*EXPLORING, "loss", "best")},
        "gap": {name: [row[name] for row in judged] for name in ("episode", "gap")},
    }


def reward_figure(data: Json) -> Json:
    """Raw reward thin, moving average thick, a dot at its end; the gap on an axis of its own; exploration and loss with each point."""
    episodes, averages, gap = data["episode"], data["average"], data["gap"]
    hover = "Episode %{x}<br>%{fullData.name} %{y:.2f}<br>%{customdata}<extra></extra>"
    told = ["<br>".join(_learning_words(data, at)) for at in range(len(episodes))]
    traces: list[Json] = [
        line_trace("raw", "Reward", episodes, data["reward"], hover),
        line_trace("average", "Average", episodes, averages, hover)
        | {"fill": "tozeroy" if min(averages, default=0.0) >= 0 else "none"},
    ]
    traces = [trace | {"customdata": told} for trace in traces]
    traces.append(end_dot(episodes, averages))
    last = f"{averages[-1]:.2f}" if averages else "nothing yet"
    summary = f"Reward by episode; the average is now {last}."
    if any(value is not None for value in data["best"]):
        best_hover = "Episode %{x}<br>Best so far %{y:.2f}<extra></extra>"
        traces.append(line_trace("gap", "Best so far", episodes, data["best"], best_hover))
        summary += f" The best recipe so far has {data['best'][-1]:.2f}."
    behind = [f"gap to the best known {100 * gap['gap'][-1]:.1f} %"] if gap["gap"] else []
    now = ", ".join([*behind, *(_learning_words(data, -1) if episodes else [])])
    if now:
        summary += f" Now {now}."
    layout = base_layout("Episode", "Reward", summary)
    if now:
        # A phone has no room for what the gap is to; the help text beside the title says it.
        short = now.replace(" to the best known", "")
        layout["annotations"] = [note(short, 0.0, "rule") | {"yref": "y domain"}]
    if gap["gap"]:
        traces.append(_gap_trace(gap))
        layout["yaxis2"] = _gap_axis(gap["gap"])
    best = [value for value in data["best"] if value is not None]
    rewards = [*data["reward"], *averages, *best]
    layout["yaxis"] |= {"range": _reward_range(rewards), "nticks": 5}
    layout["xaxis"] |= {"rangemode": "tozero"}
    return {"data": traces, "layout": layout}


def _gap_trace(gap: Json) -> Json:
    percent = [100 * share for share in gap["gap"]]
    hover = "Episode %{x}<br>Gap to the best known %{y:.1f} %<extra></extra>"
    trace = line_trace("gap", "Gap to the best known, %", gap["episode"], percent, hover)
    return trace | {"mode": "lines+markers", "yaxis": "y2"}


def _gap_axis(shares: Sequence[float]) -> Json:
    """On the right, from nothing: what is left there is what the agent has still to learn."""
    return {
        "title": {"text": "Gap, %"},
        "overlaying": "y",
        "side": "right",
        "showgrid": False,
        "range": [0.0, max(1.0, 108 * max(shares))],
        "nticks": 5,
    }


def quality_of(baseline: Row) -> str:
    """What goes down the side of a chart: where there are no labels it is agreement with the original."""
    return (
        "Accuracy" if baseline.get("accuracy_kind", "accuracy") == "accuracy" else "Agreement"
    )


def recovery_data(events: Iterable[Row], baseline: Row, budgets: Row | None = None) -> Json:
    """Validation accuracy in percent while fine-tuning, from the metric events of RECOVER."""
    rows = [
        e["data"] for e in _metrics(events, "RECOVER") if e["data"].get("accuracy") is not None
    ]
    # Another attempt starts again at step 0: only the last one is drawn.
    rows = [row for row in rows if row.get("attempt") == rows[-1].get("attempt")]
    by_epoch = all("epoch" in row for row in rows) and len({row["epoch"] for row in rows}) > 1
    unit = "epoch" if by_epoch else "step"
    rows = _once(rows, unit)
    limit = (budgets or {}).get("max_accuracy_drop")
    accuracy = baseline.get("accuracy")
    original = None if accuracy is None else 100.0 * accuracy
    return {
        "quality": quality_of(baseline),
        "unit": unit,
        "x": [row.get(unit, i + 1) for i, row in enumerate(rows)],
        "accuracy": [100.0 * row["accuracy"] for row in rows],
        "learning_rate": [row.get("learning_rate") for row in rows],
        "total": next((row["total"] for row in rows if row.get("total")), None),
        "original": original,
        "limit": None if original is None or limit is None else original - limit,
    }


def recovery_figure(data: Json) -> Json:
    """Accuracy while fine-tuning, with the original and the limit as rules."""
    quality = data["quality"]
    hover = f"{data['unit'].capitalize()} %{{x}}<br>{quality} %{{y:.1f}} %<br>%{{customdata}}"
    rates = [
        "" if rate is None else f"Learning rate {rate:.2g}" for rate in data["learning_rate"]
    ]
    trace = line_trace("main", quality, data["x"], data["accuracy"], hover + "<extra></extra>")
    trace |= {"mode": "lines+markers", "customdata": rates}
    title = data["unit"].capitalize()
    if data["total"] and data["unit"] == "step":
        title += f" of {data['total']:,}"
    last = f"{data['accuracy'][-1]:.1f} %" if data["accuracy"] else "not measured yet"
    layout = base_layout(
        title, f"{quality}, %", f"Validation {quality.lower()} while fine-tuning, now {last}."
    )
    shapes, notes = [], []
    for name, text in (("original", "original"), ("limit", "limit")):
        if data[name] is not None:
            shapes.append(horizontal(data[name], name="limit" if name == "limit" else "rule"))
            notes.append(note(f"{text} {data[name]:.1f} %", data[name], name))
    layout |= {"shapes": shapes, "annotations": notes}
    values = [v for v in (*data["accuracy"], data["original"], data["limit"]) if v is not None]
    if values:
        room = max(0.3, 0.12 * (max(values) - min(values)))
        layout["yaxis"] |= {
            "range": [min(values) - room, max(values) + room],
            "nticks": 5,
            "tickformat": ".1f",
        }
    return {"data": [trace, end_dot(data["x"], data["accuracy"])], "layout": layout}


def _learning_words(data: Json, at: int) -> list[str]:
    """How the selector explored in a round, and its loss."""
    exploring = [
        f"{word} {100 * data[name][at]:.0f} %"
        for name, word in EXPLORING.items()
        if data[name][at] is not None
    ]
    loss = data["loss"][at]
    return [*exploring, *([] if loss is None else [f"loss {loss:.2g}"])]


def _reward_range(values: Sequence[float]) -> list[float]:
    """From 0 to 1, as rewards mean to be; as far as they go where they leave that."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    if low >= 0 and high <= 1:
        return [0.0, 1.02]
    room = 0.06 * (high - low)
    return [low - room, high + room]


def _once(rows: Sequence[Row], step: str) -> list[Row]:
    """Rows without what an interrupted training had reported already when it told it again."""
    found: list[Row] = []
    for row in rows:
        while found and step in row and found[-1].get(step, -1) >= row[step]:
            found.pop()
        found.append(row)
    return found


def _metrics(events: Iterable[Row], stage: str) -> list[Row]:
    return [e for e in events if e["kind"] == "metric" and e["stage"] == stage]
