"""An installation with a desk in it, for tests of its pages."""

from __future__ import annotations

from pathlib import Path

from mappings.private_files import make_home
from mappings.settings import Settings
from review.web.app import make_app
from sync.fix_work import carry_on
from tests.review.web.browser import Browser, StandInGate
from tests.sync.far_side import csv_feed, dealer, dealers
from tests.sync.world import World


def person(number: int) -> dict[str, str]:
    """What of a dealer speaks about a person."""
    return {"name": f"Person {number}", "sales_rep_email": f"p{number}@b.test"}


class Office:
    """A world with a desk in it, and the people at it."""

    def __init__(self, world: World) -> None:
        self.world = world
        make_home(world.settings)
        self.app = make_app(world.settings, StandInGate())
        self.olga = Browser(self.app, "olga:operator+auditor")
        self.igor = Browser(self.app, "igor:operator+auditor")
        self.anna = Browser(self.app, "anna:auditor")

    def night(self, bad: int, **more: object) -> None:
        """Some dealers whose status is odd, all with an e-mail address of their own."""
        odd = [dealer(f"B{n}", **{**person(n), "status": "odd", **more}) for n in range(bad)]
        self.world.mill.put("dealer", [*dealers(*range(20), sales_rep_email=""), *odd])
        self.world.run("mill", "customers")

    def work(self) -> None:
        """What the desk's worker does."""
        carry_on(self.world.ctx, worker="test")

    def stop(self) -> None:
        self.app.state.desk.close()
        self.world.stop()


def open_office(url: str, folder: Path) -> Office:
    """One feed of dealers, from files, with nothing in it yet."""
    (folder / "home").mkdir()
    (folder / "erps").mkdir()
    settings = Settings.read(
        {}, home=folder / "home", database_url=url, mappings=(folder / "erps",)
    )
    world = World(settings, folder)
    world.start()
    feed = csv_feed("customers", [], guards={"rejected_least": 1000})
    feed["fields"]["sales_rep_email"] = {"from": "sales_rep_email"}
    world.map("mill", {"customers": feed})
    return Office(world)
