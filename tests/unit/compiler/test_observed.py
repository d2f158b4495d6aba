"""What proxies warn of, in statuses that change only when the truth does."""

from dataclasses import replace

from sse_operator.api.reading import read_sse_api, read_sse_gateway
from sse_operator.api.sse_api import SseApiStatus, Warned
from sse_operator.compiler.gateway import compile_gateway
from sse_operator.compiler.model import ApiResult, Environment, GatewayInputs, Programmed
from sse_operator.compiler.observed import with_observed
from sse_operator.compiler.verdicts import api_verdicts
from unit.compiler.scenario import NOW

GATEWAY = read_sse_gateway({"metadata": {"name": "default", "namespace": "shop"}})
TWENTY = Warned(reason="MaxConnectionsReached", message="20 were in use")
THIRTY = Warned(reason="MaxConnectionsReached", message="30 were in use")
OWN = Warned(reason="InsecureSkipVerify", message="as the spec says")


def result(*standing: Warned, **spec: object) -> ApiResult:
    api = read_sse_api(
        {"metadata": {"name": "a", "namespace": "shop"}, "spec": {"contextPath": "/a", "target": "http://h", **spec}}
    )
    api = replace(api, status=SseApiStatus(warnings=list(standing)))
    return compile_gateway(GatewayInputs("shop/default", GATEWAY, [api]), Environment(), NOW).results["shop/a"]


def said(unreachable: tuple[str, ...] = (), **warnings: Warned) -> Programmed:
    return Programmed(
        ready_pods=len(warnings) + len(unreachable),
        loaded={pod: {"": 1} for pod in warnings},
        unreachable=unreachable,
        warnings={pod: {"shop/a": [warned]} for pod, warned in warnings.items() if warned is not OWN},
    )


def test_a_warning_of_any_proxy_is_the_status_s() -> None:
    warned = with_observed(result(), said(p=OWN, q=TWENTY))
    assert warned.warnings == (TWENTY,)
    assert [(each.type, each.reason) for each in api_verdicts(warned, None, 0)][-1] == (
        "Warning",
        "MaxConnectionsReached",
    )


def test_a_text_that_stands_is_kept_while_any_proxy_says_it() -> None:
    both = said(p=THIRTY, q=TWENTY)
    assert with_observed(result(), both).warnings == (THIRTY,)
    assert with_observed(result(TWENTY), both).warnings == (TWENTY,)
    assert with_observed(result(TWENTY), said(p=THIRTY)).warnings == (THIRTY,)


def test_what_no_proxy_says_any_more_is_gone() -> None:
    assert with_observed(result(TWENTY), said(p=OWN)).warnings == ()


def test_a_silent_proxy_may_still_mean_it() -> None:
    assert with_observed(result(TWENTY), said(p=OWN, unreachable=("q",))).warnings == (TWENTY,)
    assert with_observed(result(TWENTY), None).warnings == (TWENTY,)
    assert with_observed(result(TWENTY), said(unreachable=("q",), p=THIRTY)).warnings == (THIRTY,)


def test_a_warning_of_the_compiler_s_is_not_kept_for_the_proxies_sake() -> None:
    assert with_observed(result(OWN), None).warnings == ()


def test_who_is_not_served_is_not_warned_of_upstream() -> None:
    assert with_observed(result(TWENTY, suspend=True), said(p=TWENTY)).warnings == ()
