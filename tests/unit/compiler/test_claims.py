"""Who holds which context-path, whatever the resources are."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sse_operator.api.objects import SseApi
from sse_operator.api.reading import read_sse_api
from sse_operator.compiler.claims import ANY_HOST, Route
from sse_operator.compiler.model import ApiResult, CompiledGateway
from unit.compiler.scenario import NOW, compile_apis, with_claim

GATEWAY = "infra/edge"

HOSTS = ["example", "a.example", "b.a.example", "*.example", "*.a.example", "*.b.a.example", "other"]
PATHS = ["/", "/a", "/a/b", "/a/b/c", "/ab", "/b", "/b/c/"]

CREATED = datetime(2026, 1, 1, tzinfo=UTC)


def gateway(*, nested: bool = False) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "infra", "name": "edge"},
        "spec": {"allowedNamespaces": {"from": "All"}, "allowNestedContextPaths": nested},
    }


def api(
    name: str, namespace: str = "shop", *, path: str, hosts: list[str] | None = None, day: int = 0, **spec: Any
) -> SseApi:
    return read_sse_api(
        {
            "metadata": {"name": name, "namespace": namespace, "creationTimestamp": CREATED + timedelta(days=day)},
            "spec": {
                "contextPath": path,
                "hostnames": hosts,
                "target": "http://h",
                "gatewayRef": {"namespace": "infra", "name": "edge"},
                **spec,
            },
        }
    )


hosts = st.none() | st.lists(st.sampled_from(HOSTS), min_size=1, max_size=3, unique=True)

apis = st.builds(
    api,
    st.just("unnamed"),
    st.sampled_from(["shop", "news", "evil"]),
    path=st.sampled_from(PATHS),
    hosts=hosts,
    day=st.integers(0, 3),
    suspend=st.booleans(),
    # Some have a fault, and hold their path all the same.
    version=st.sampled_from(["1", "1", "1", "no version"]),
)


def named(unnamed: list[SseApi]) -> list[SseApi]:
    return [
        replace(each, metadata=each.metadata.model_copy(update={"name": f"a{number}"}))
        for number, each in enumerate(unnamed)
    ]


several = st.lists(apis, min_size=1, max_size=8).map(named)


def compiled(of: list[SseApi], *, nested: bool = False, days_later: int = 0) -> CompiledGateway:
    now = NOW + timedelta(days=days_later)
    return compile_apis([gateway(nested=nested)], of, now=now).gateways[GATEWAY]


def after(result: CompiledGateway, of: list[SseApi]) -> list[SseApi]:
    """The SseApis as they come back once their statuses were written."""
    return [with_claim(each, result.results[each.metadata.key].claim) for each in of]


def routes(result: ApiResult) -> set[Route]:
    if result.entry is None:
        return set()
    return {(host, result.entry.context_path) for host in result.entry.hostnames or (ANY_HOST,)}


def holders(result: CompiledGateway) -> dict[Route, str]:
    held: dict[Route, str] = {}
    for key, each in result.results.items():
        for route in routes(each):
            assert route not in held, f"{route} has two holders"
            held[route] = key
    return held


def covers(wide: str, narrow: str) -> bool:
    """Whether every name that `narrow` stands for is one of `wide`'s; told anew, and slowly."""
    return wide in (ANY_HOST, narrow) or (wide.startswith("*.") and narrow.removeprefix("*").endswith(wide[1:]))


def leads_to(short: str, long: str) -> bool:
    return short in ("/", long) or long.startswith(f"{short}/")


def nested_routes(one: Route, other: Route) -> bool:
    return (covers(one[0], other[0]) or covers(other[0], one[0])) and (
        leads_to(one[1], other[1]) or leads_to(other[1], one[1])
    )


@given(of=several, nested=st.booleans())
def test_a_route_has_one_holder_and_claims_say_what_is_held(of: list[SseApi], nested: bool) -> None:
    result = compiled(of, nested=nested)
    holders(result)
    for each in result.results.values():
        claimed = each.claim and {(host, each.claim.context_path) for host in each.claim.hostnames or [ANY_HOST]}
        assert (claimed or set()) == routes(each)


@settings(max_examples=300)
@given(of=several)
def test_namespaces_never_nest_and_nobody_is_refused_without_need(of: list[SseApi]) -> None:
    result = compiled(of)
    held = holders(result)
    for route, key in held.items():
        for other, other_key in held.items():
            if key.split("/")[0] != other_key.split("/")[0]:
                assert not nested_routes(route, other), f"{key} {route} and {other_key} {other}"
    for each in of:
        path, names = each.context_path, each.hostnames or (ANY_HOST,)
        assert path is not None
        for route in {(name, path) for name in names} - routes(result.results[each.metadata.key]):
            in_the_way = {
                key
                for other, key in held.items()
                if other == route or (key.split("/")[0] != each.metadata.namespace and nested_routes(route, other))
            }
            assert in_the_way, f"{each.metadata.key} does not hold {route}, and nobody is in the way"
            verdict = result.results[each.metadata.key].accepted
            if verdict.reason != "InvalidSpec":
                assert verdict.reason in ("ContextPathConflict", "NestedContextPath")


@given(of=several, nested=st.booleans(), seed=st.randoms(use_true_random=False))
def test_the_order_of_inputs_does_not_matter_in_a_cluster(of: list[SseApi], nested: bool, seed: Any) -> None:
    shuffled = list(of)
    seed.shuffle(shuffled)
    one, other = compiled(of, nested=nested), compiled(shuffled, nested=nested)
    assert dict(one.results) == dict(other.results)
    assert one.entries == other.entries


@given(of=several, nested=st.booleans())
def test_compiling_with_the_claims_it_gave_changes_nothing(of: list[SseApi], nested: bool) -> None:
    first = compiled(of, nested=nested)
    second = compiled(after(first, of), nested=nested, days_later=1)
    assert second.entries == first.entries
    for key, each in first.results.items():
        again = second.results[key]
        assert (again.accepted, again.claim) == (each.accepted, each.claim)


@given(of=several, edited=st.integers(0, 7), edit=apis, nested=st.booleans())
def test_an_edit_never_steals(of: list[SseApi], edited: int, edit: SseApi, nested: bool) -> None:
    before = compiled(of, nested=nested)
    whose = of[edited % len(of)].metadata
    seen = after(before, of)
    seen[edited % len(of)] = replace(
        edit,
        # Even from an age before all others.
        metadata=whose.model_copy(update={"creation_timestamp": CREATED - timedelta(days=9)}),
        status=seen[edited % len(of)].status,
    )
    held = holders(compiled(seen, nested=nested, days_later=1))
    for route, key in holders(before).items():
        if key != whose.key:
            assert held.get(route) == key, f"{whose.key} took {route} from {key}"


@given(of=several)
def test_who_waited_takes_over_when_the_holder_goes(of: list[SseApi]) -> None:
    before = compiled(of)
    seen = after(before, of)
    leaving = next((each for each in seen if each.status.claim), None)
    if leaving is None:
        return
    rest = [each for each in seen if each is not leaving]
    held = holders(compiled(rest, days_later=1)) if rest else {}
    for each in rest:
        wanted = {(host, str(each.context_path)) for host in each.hostnames or (ANY_HOST,)}
        blockers = {
            key
            for other, key in held.items()
            for route in wanted
            if key != each.metadata.key
            and (other == route or (key.split("/")[0] != each.metadata.namespace and nested_routes(route, other)))
        }
        if not blockers:
            assert wanted <= {route for route, key in held.items() if key == each.metadata.key}


def test_ten_thousand_on_one_gateway() -> None:
    """They are compared by look-ups, not one by one: a quadratic rule would show as minutes."""
    of = [api(f"a{number}", f"n{number % 500}", path=f"/n{number % 500}/a{number}") for number in range(10_000)]
    result = compiled(of)
    assert len(result.entries) == 10_000
    assert all(each.served for each in result.results.values())


def test_the_message_names_the_holder_the_host_and_the_path() -> None:
    result = compiled([api("old", path="/a", hosts=["example"]), api("new", path="/a", hosts=["example"], day=1)])
    assert result.results["shop/new"].accepted.message == (
        "contextPath /a on host example is held by SseApi shop/old: "
        "choose another contextPath or host name, or it takes over when the holder goes"
    )
