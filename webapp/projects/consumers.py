from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

from channels.db import database_sync_to_async
from django.http import Http404

from compression.errors import CompressionError
from selector.errors import SelectorError
from webapp.jobs.events import group
from webapp.projects import answers
from webapp.projects.queries import project_get, study_json
from webapp.projects.services import checked_settings
from webapp.responses import RequestRefusedError
from webapp.sockets import PageSocket

if TYPE_CHECKING:
    from uuid import UUID

    from webapp.projects.models import Project

ANSWERS_PER_SECOND = 20
STILL_S = 0.15
"""A hand that has rested so long is worth a second look at what it asked."""


class ProjectConsumer(PageSocket):
    """Answers the sliders of a studio page, and says when its study moves."""

    async def connect(self) -> None:
        self.project_id: UUID = self.scope["url_route"]["kwargs"]["project_id"]
        # One place: of goals that arrive faster than answers leave only the newest matter.
        self.newest: asyncio.Queue[dict[str, Any]] = asyncio.Queue(maxsize=1)
        self.watched = ""
        await self.accept()
        if not await self.send_study():
            await self.close(code=4404)
            return
        self.start(self.answer_forever())

    async def sync(self, _content: dict[str, Any]) -> None:
        await self.send_study()

    async def receive_json(self, content: dict[str, Any], **_: Any) -> None:
        await super().receive_json(content)
        if content.get("kind") == "goals":
            while not self.newest.empty():
                self.newest.get_nowait()
            self.newest.put_nowait(content)

    async def job_moved(self, message: dict[str, Any]) -> None:
        # Events of the study are the job page's matter; here only its state counts.
        if not message["events"] or message["events"][-1]["kind"] == "done":
            await self.send_study()

    async def answer_forever(self) -> None:
        asked = await self.newest.get()
        while True:
            started = time.monotonic()
            answer = await self.answer(asked)
            await self.send_json(answer)
            await asyncio.sleep(max(0.0, 1 / ANSWERS_PER_SECOND - time.monotonic() + started))
            asked = await self.next_question(asked, answer)

    async def next_question(
        self, asked: dict[str, Any], answer: dict[str, Any]
    ) -> dict[str, Any]:
        """The newest question; where the hand rests, first a second look at the last one."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STILL_S):
                return await self.newest.get()
        if answer["kind"] == "answer" and (found := await self.better(asked, answer)):
            await self.send_json(found)
        return await self.newest.get()

    @database_sync_to_async
    def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        number = asked.get("n")
        try:
            project = self._project()
            wanted = self._wanted(project, asked)
            selection = answers.selection(project, wanted, asked.get("config"), quick=True)
        except (RequestRefusedError, CompressionError, SelectorError, Http404) as error:
            return {"kind": "refusal", "n": number, "message": str(error)}
        return {"kind": "answer", "n": number, "selection": selection}

    @database_sync_to_async
    def better(self, asked: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any] | None:
        try:
            project = self._project()
            wanted = self._wanted(project, asked)
            found = answers.better(project, wanted, asked.get("config"), answer["selection"])
        except (RequestRefusedError, CompressionError, SelectorError, Http404):
            return None  # what was answered a moment ago is gone by now; the next question is told so
        return found and {"kind": "better", "n": asked.get("n"), "selection": found}

    def _wanted(self, project: Project, asked: dict[str, Any]) -> dict[str, Any]:
        known = ("goals", "budgets", "target", "locks")
        said = {key: asked[key] for key in known if key in asked}
        return checked_settings(said, owner=project.owner)

    async def send_study(self) -> bool:
        study = await self._study()
        if study is None:
            return False
        await self.watch(study["job"] or "")
        await self.send_json({"kind": "study", **study})
        return True

    async def watch(self, job_id: str) -> None:
        """Follow the study's job; a changed preprocessing makes it another one."""
        if job_id == self.watched:
            return
        if self.watched:
            await self.leave(group(self.watched))
        if job_id:
            await self.join(group(job_id))
        self.watched = job_id

    def _project(self) -> Project:
        return project_get(owner=self.scope["user"], project_id=self.project_id)

    @database_sync_to_async
    def _study(self) -> dict[str, Any] | None:
        try:
            return study_json(self._project())
        except Http404:
            return None
