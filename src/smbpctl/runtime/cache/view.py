"""One kind as it is read: what its informer's store holds, with our own writes laid over it."""

from typing import TypeAlias, final

from smbpctl.runtime.consistency import Overlay, current_run
from smbpctl.runtime.errors import IndexMissing
from smbpctl.runtime.informer import Form, Informer
from smbpctl.runtime.meta import GroupVersionKind, LabelSelector, ObjectKey, StoredObject
from smbpctl.runtime.store import ObjectDecoder, Store

StoredObjects: TypeAlias = list[StoredObject]


@final
class KindView:
    """The reads of one informer; satisfies `consistency.Scope`.

    What is returned is shared and must not be changed. Lists are sorted by key.
    """

    __slots__ = ("_decoders", "_field_owners", "informer", "overlay")

    def __init__(self, informer: Informer, *, field_owners: frozenset[str] = frozenset()) -> None:
        self.informer: Informer = informer
        self.overlay: Overlay = Overlay(informer.store)
        self._field_owners = field_owners
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
            decoder = self._decoders[form] = ObjectDecoder(
                self.gvk, self._field_owners, metadata_only=form is Form.METADATA
            )
        return decoder.object(body)

    def admits(self, stored: StoredObject) -> bool:
        """Tell whether the informer is told of this object."""
        namespace, selector = self.informer.namespace, self.informer.selector
        return namespace in ("", stored.meta.namespace) and (
            selector is None or selector.matches(stored.meta.labels)
        )
