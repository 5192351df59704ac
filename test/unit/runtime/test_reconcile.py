"""The contract between a controller and its user."""

from datetime import timedelta

import pytest

from smbpctl.runtime.meta import ObjectKey
from smbpctl.runtime.reconcile import DONE, Reconciler, Request, Result


class Waiting:
    """A reconciler that comes back every minute."""

    async def reconcile(self, request: Request[ObjectKey]) -> Result:
        return Result(requeue_after=timedelta(minutes=1)) if request.key.name else DONE


class TestRequest:
    def test_requests_of_one_key_are_one_request(self) -> None:
        """The queue merges by equality."""
        requests = {Request(ObjectKey("shop", "web")), Request(ObjectKey("shop", "web"))}

        assert requests == {Request(ObjectKey("shop", "web"))}
        assert Request(ObjectKey("shop", "web")) != Request(ObjectKey("shop", "api"))

    def test_a_request_reads_as_its_key(self) -> None:
        """Logs name the object; any hashable value can be a key."""
        assert str(Request(ObjectKey("shop", "web"))) == "shop/web"
        assert str(Request(7)) == "7"

    @pytest.mark.parametrize("field", ["key", "anything"])
    def test_a_request_cannot_be_changed(self, field: str) -> None:
        """It is a key of dicts and sets."""
        request = Request(ObjectKey("shop", "web"))

        with pytest.raises((AttributeError, TypeError)):
            setattr(request, field, ObjectKey("shop", "api"))


class TestResult:
    @pytest.mark.parametrize("delay", [timedelta(0), timedelta(seconds=-1)])
    def test_coming_back_at_once_is_refused(self, delay: timedelta) -> None:
        """It would be a hot loop; there is one requeue mechanism, and it takes time."""
        with pytest.raises(ValueError, match="must be positive"):
            Result(requeue_after=delay)

    def test_the_sooner_of_two_results_counts(self) -> None:
        """Any return beats none, and the earlier beats the later, whatever the order."""
        soon, late = Result(timedelta(seconds=1)), Result(timedelta(seconds=9))

        assert soon.sooner(late) == late.sooner(soon) == soon
        assert soon.sooner(DONE) == DONE.sooner(soon) == soon
        assert DONE.sooner(DONE) == DONE

    def test_the_highest_priority_of_two_results_counts(self) -> None:
        """It goes with the earlier return, whichever of the two asked for it."""
        soon, late = Result(timedelta(seconds=1)), Result(timedelta(seconds=9), priority=-5)
        urgent = Result(timedelta(seconds=9), priority=3)

        assert soon.sooner(late) == late.sooner(soon) == Result(timedelta(seconds=1), priority=-5)
        assert late.sooner(urgent) == Result(timedelta(seconds=9), priority=3)


class TestReconciler:
    async def test_a_plain_class_is_a_reconciler(self) -> None:
        """No base class is needed; the Protocol is checked by its shape."""
        reconciler: Reconciler[ObjectKey] = Waiting()

        result = await reconciler.reconcile(Request(ObjectKey("shop", "web")))

        assert result.requeue_after == timedelta(minutes=1)
