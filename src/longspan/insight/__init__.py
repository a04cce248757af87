"""See inside: what a model remembers, where gradients go, what gates do; and reports.

Of any module with recurrent layers of `longspan.nn`: `watching` records every step's states and
gates, `gradient_flow` says where gradients die or explode, `jacobian_influence` and
`memory_horizon` how far back an output depends on its inputs, `cutting` and `context_ablation` what
memory is worth, `gate_statistics` and `unit_statistics` what gates do, `integrated_gradients` which
inputs mattered, and `advice` what to do about it. `inspect` does all of it for a fitted estimator,
`inspect_module` for any module. Results are frozen dataclasses with ``to_dict()``. Reports
(``*_html``) are one page a task.
"""

from longspan.insight.ablation import Ablation, context_ablation, cutting
from longspan.insight.advice import Advice, advice
from longspan.insight.attribution import Attribution, integrated_gradients, refined_gradients
from longspan.insight.autocorrelation import autocorrelation_lag, partial_autocorrelation
from longspan.insight.classify_report import classify_html
from longspan.insight.features_report import features_html
from longspan.insight.flow import GradientFlow, LayerFlow, ParameterFlow, gradient_flow
from longspan.insight.forecast_report import forecast_html, verdict, write_report
from longspan.insight.gates import (
    GateStatistics,
    UnitStatistics,
    gate_statistics,
    unit_statistics,
)
from longspan.insight.horizon import Horizon, jacobian_influence, memory_horizon
from longspan.insight.inspect_report import inspect_html
from longspan.insight.inspected import Attributed, Inspection, Trajectory
from longspan.insight.inspection import inspect, inspect_module
from longspan.insight.language_report import language_html
from longspan.insight.reproduce_report import reproduce_html
from longspan.insight.tag_report import tag_html
from longspan.insight.translate_report import translate_html
from longspan.insight.watch import Seen, Watched, watching

__all__ = [
    "Ablation", "Advice", "Attributed", "Attribution", "GateStatistics", "GradientFlow",
    "Horizon", "Inspection", "LayerFlow", "ParameterFlow", "Seen", "Trajectory", "UnitStatistics",
    "Watched", "advice", "autocorrelation_lag", "classify_html", "context_ablation", "cutting",
    "features_html", "forecast_html", "gate_statistics", "gradient_flow", "inspect", "inspect_html",
    "inspect_module", "integrated_gradients", "jacobian_influence", "language_html",
    "memory_horizon", "partial_autocorrelation", "refined_gradients", "reproduce_html",
    "tag_html", "translate_html", "unit_statistics", "verdict", "watching", "write_report",
]  # fmt: skip
