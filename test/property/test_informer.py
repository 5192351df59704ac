"""Whatever connection and server do, an informer ends up equal to the server and tells no lies."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from smbpctl.runtime.clock import LoopClock, seeded_random
from smbpctl.runtime.informer import Form, Informer, InformerState
from smbpctl.runtime.informer.client import Scope
from smbpctl.runtime.informer.lines import LineAssembler
from smbpctl.runtime.meta import FieldSelector, ObjectKey, labels_equal
from test.support.list_watch import WIDGET, Choices, ModelServer, Streaming
from test.support.virtual_time import run_virtual
from test.support.witness import Witness

NAMES = ["a", "b", "c", "d", "e"]


def operations(*pauses: str) -> st.SearchStrategy[list[tuple[str, str, str]]]:
    """Generate what happens to the server's objects, with these pauses in between."""
    return st.lists(
        st.tuples(
            st.sampled_from(["put", "delete", "recreate", "relabel", "put", "compact"]),
            st.sampled_from(NAMES),
            st.sampled_from(pauses),
        ),
        min_size=10,
        max_size=60,
    )


def numbers_of(seed: int, count: int) -> list[int]:
    """Return numbers that choose faults, evenly."""
    random = seeded_random(seed)
    return [random.getrandbits(10) for _ in range(count)]


# Races are between a request and a change within the same few milliseconds, so some lives are
# short; others are long enough for bookmarks, silences and the ends of watches.
plans = st.one_of(
    operations("0.004", "0.001", "0"),
    operations("1", "0", "0.004", "3", "40", "200", "700"),
)
faults = st.one_of(
    st.just([0]),
    st.lists(st.integers(0, 719), max_size=40),
    # Hypothesis likes small numbers, of which the first few faults are made; chance likes all.
    st.integers(0, 2**32).map(lambda seed: numbers_of(seed, 40)),
    st.integers(0, 2**32).map(lambda seed: numbers_of(seed, 200)),
    st.lists(st.integers(0, 719), min_size=60, max_size=300),
)
scopes = st.sampled_from(
    [
        Scope(),
        Scope("default"),
        Scope(selector=labels_equal({"tier": "x"})),
        Scope(fields=FieldSelector((), (("metadata.name", "b"),))),
    ]
)
forms = st.sampled_from([(Form.FULL, None), (Form.METADATA, None), (Form.METADATA, Form.FULL)])
streamings = st.sampled_from(Streaming)


def change(server: ModelServer, operation: str, name: str) -> None:
    """Do one thing to the server's objects."""
    match operation:
        case "put":
            server.put(name, tier="x")
        case "relabel":
            server.put(name, tier="y")
        case "delete":
            server.delete(name)
        case "recreate":
            server.delete(name)
            server.put(name, tier="x")
        case "compact":
            server.compact()


async def follow(
    plan: Sequence[tuple[str, str, str]],
    numbers: Sequence[int],
    scope: Scope,
    forms: tuple[Form, Form | None],
    streaming: Streaming,
) -> tuple[ModelServer, Informer, list[Witness]]:
    """Run an informer through faults and changes, then let the faults stop.

    Half way through, the form is raised, if it is to be.
    """
    clock = LoopClock()
    server = ModelServer(choices=Choices(numbers), streaming=streaming)
    for name in NAMES[:3]:
        server.put(name, tier="x")
    informer = Informer(
        WIDGET,
        server,
        clock=clock,
        random=seeded_random(1),
        namespace=scope.namespace,
        selector=scope.selector,
        fields=scope.fields,
        form=forms[0],
        field_owners=frozenset({"demo"}),
        page_size=2,
    )
    witnesses = [Witness(informer)]
    informer.add_handler(witnesses[0])
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(informer.run())
        for number, (operation, name, seconds) in enumerate(plan):
            if forms[1] is not None and number == len(plan) // 2:
                informer.raise_form(forms[1])
            change(server, operation, name)
            await clock.sleep(timedelta(seconds=float(seconds)))
        witnesses.append(Witness(informer))
        informer.add_handler(witnesses[1])
        server.choices.stop()
        await clock.sleep(timedelta(hours=2))
        running.cancel()
    return server, informer, witnesses


@settings(max_examples=200, deadline=None)
@given(plans, faults, scopes, forms, streamings)
def test_store_equals_the_server_once_faults_stop(
    plan: list[tuple[str, str, str]],
    numbers: list[int],
    scope: Scope,
    forms: tuple[Form, Form | None],
    streaming: Streaming,
) -> None:
    """After the last fault the store holds what the server holds, and so does every handler."""
    server, informer, witnesses = run_virtual(follow(plan, numbers, scope, forms, streaming))

    expected = {
        ObjectKey(*key): (document["metadata"]["uid"], document["metadata"]["resourceVersion"])
        for key, document in server.objects.items()
        if server.in_scope(document, scope)
    }
    stored = {each.key: each for each in informer.store.list()}
    assert {
        key: (each.meta.uid, each.meta.resource_version) for key, each in stored.items()
    } == expected
    assert informer.state is InformerState.STREAMING
    assert informer.reason == ""
    assert informer.form is (forms[1] or forms[0])
    metas = {key: each.meta for key, each in stored.items()}
    for witness in witnesses:
        assert {key: each.meta for key, each in witness.held.items()} == metas
    for key, each in stored.items():
        document = dict(server.objects[key.namespace, key.name])
        document["metadata"] = {
            name: value for name, value in document["metadata"].items() if name != "managedFields"
        }
        if informer.form is Form.METADATA:
            document.pop("spec")
        assert each.manifest() == document


@given(
    st.lists(st.binary(min_size=1, max_size=30).map(lambda b: b.replace(b"\n", b" ") + b"x")),
    st.binary(max_size=5).map(lambda b: b.replace(b"\n", b"")),
    st.lists(st.integers(1, 40)),
)
def test_lines_do_not_depend_on_where_chunks_end(
    lines: list[bytes], rest: bytes, sizes: list[int]
) -> None:
    """Any cutting of a stream gives the same complete lines; an unfinished one is not told."""
    stream = b"".join(line + b"\n" for line in lines) + rest
    assembler = LineAssembler()

    seen: list[bytes] = []
    for size in [*sizes, len(stream)]:
        chunk, stream = stream[:size], stream[size:]
        seen += assembler.feed(chunk)
    seen += assembler.feed(stream)

    assert seen == lines
