"""One kind as it is read: what its informers' stores hold, with our own writes laid over it."""

from collections.abc import Mapping
from typing import TypeAlias, final

from smbpctl.runtime.consistency import Overlay, current_run
from smbpctl.runtime.errors import IndexMissing
from smbpctl.runtime.informer import Form, Informer, InformerGroup
from smbpctl.runtime.meta import GroupVersionKind, LabelSelector, ObjectKey, StoredObject
from smbpctl.runtime.store import ObjectDecoder, Store

StoredObjects: TypeAlias = list[StoredObject]


@final
class KindView:
    """The reads of one informer; satisfies `consistency.Scope`.

    What is returned is shared and must not be changed. Lists are sorted by key.
    """

    __slots__ = ("_decoders", "informer", "overlay")

    def __init__(self, informer: Informer) -> None:
        self.informer: Informer = informer
        # Over the informer, not its store: that is another one when the form was raised.
        self.overlay: Overlay = Overlay(informer)
        # By form, which may be raised until the informer starts.
        self._decoders: dict[Form, ObjectDecoder] = {}

    @property
    def gvk(self) -> GroupVersionKind:
        """Return the kind that is watched."""
        return self.informer.gvk

    @property
    def store(self) -> Store:
        """Return what the server has told."""
        return self.informer.store

    def get(self, key: ObjectKey) -> StoredObject | None:
        """Return the object of this key, None when none is known."""
        found = self.overlay.over(key, self.store.get(key))
        if found is not None and (run := current_run()) is not None:
            run.read(self.gvk, found.meta)
        return found

    def list(
        self,
        namespace: str = "",
        selector: LabelSelector | None = None,
        index: tuple[str, str] | None = None,
    ) -> StoredObjects:
        """Return the objects of one namespace or of all, selected by labels and by an index.

        `index` is a name and a value. Raise IndexMissing when it was never added.
        """

        def wanted(stored: StoredObject) -> bool:
            return (
                namespace in ("", stored.meta.namespace)
                and (selector is None or selector.matches(stored.meta.labels))
                and (index is None or index[1] in self.store.index_values(index[0], stored))
            )

        if index is None:
            return self.overlay.over_all(self.store.list(namespace or None, selector), wanted)
        try:
            found = self.store.by_index(*index)
        except IndexMissing as error:
            raise IndexMissing(f"{self.gvk}: {error}") from error
        return self.overlay.over_all([each for each in found if wanted(each)], wanted)

    def owned_by(self, uid: str) -> StoredObjects:
        """Return the objects with an owner reference, controlling or not, to this UID."""

        def owned(stored: StoredObject) -> bool:
            return any(owner.uid == uid for owner in stored.meta.owner_references or ())

        return self.overlay.over_all(self.store.by_owner(uid), owned)

    def decode(self, body: bytes) -> StoredObject:
        """Return an object as the store would hold it; raise ValueError for another kind's."""
        form = self.informer.form
        decoder = self._decoders.get(form)
        if decoder is None:
            decoder = self._decoders[form] = self.informer.decoder(form)
        return decoder.object(body)

    def admits(self, stored: StoredObject) -> bool:
        """Tell whether the informer is told of this object, as far as that can be told.

        A selection by fields other than name and namespace is the server's to make: what is
        written there is not waited for.
        """
        informer = self.informer
        return (
            informer.namespace in ("", stored.meta.namespace)
            and (informer.selector is None or informer.selector.matches(stored.meta.labels))
            and (informer.fields is None or informer.fields.selects(stored.meta) is True)
        )


@final
class GroupView:
    """The reads of a kind in several namespaces: each has its own informer and its own overlay."""

    __slots__ = ("_members", "informer")

    def __init__(self, informer: InformerGroup, members: Mapping[str, KindView]) -> None:
        self.informer: InformerGroup = informer
        self._members = members

    def member(self, namespace: str) -> KindView | None:
        """Return the view of one namespace; None when it is not watched."""
        return self._members.get(namespace)

    def get(self, key: ObjectKey) -> StoredObject | None:
        """Return the object of this key, None when none is known."""
        view = self._members.get(key.namespace)
        return None if view is None else view.get(key)

    def list(
        self,
        namespace: str = "",
        selector: LabelSelector | None = None,
        index: tuple[str, str] | None = None,
    ) -> StoredObjects:
        """Return the objects of one namespace or of all that are watched; see `KindView.list`."""
        chosen = [view for name, view in self._members.items() if namespace in ("", name)]
        return [stored for view in chosen for stored in view.list(namespace, selector, index)]

    def owned_by(self, uid: str) -> StoredObjects:
        """Return the objects with an owner reference, controlling or not, to this UID."""
        return [stored for view in self._members.values() for stored in view.owned_by(uid)]
