"""What the pages ask the server: plans, runs and their frames. Every path here is behind the guard."""

from __future__ import annotations

import asyncio
import json
import shlex
from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from runbook.catalog import find
from runbook.errors import RunbookError, UntrustedError
from runbook.executors.offers import offers
from runbook.model import Parameter, Plan, Runbook, Scenario
from runbook.pipeline import chosen_lab, prepare, prepare_for_lab
from runbook.preview import as_json
from runbook.renderers.plain import requirements
from runbook.renderers.renderer import renderer
from runbook.server.guard import API, BODY_BYTES, PROTOCOL
from runbook.server.runs import Busy, LiveRun, Runs, digest
from runbook.server.stream import Bell
from runbook.values import parse_value, written

#: A WebSocket hears something at least this often, in seconds: a page that hears nothing connects again.
TICK_SECONDS = 10.0
#: How a WebSocket is closed (RFC 6455, 7.4.2: 4000 to 4999 are an application's own).
NO_SUCH_RUN, NOT_UNDERSTOOD = 4404, 4400


class State:
    """What every open page is told of: the build that is shown, and the runs there are."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._bell = Bell(loop)
        self.build = 0
        self.problem = ""
        #: Tell all pages; from any thread.
        self.changed = self._bell.ring
        self.wait = self._bell.wait

    def built(self, problem: str = "") -> None:
        """The site was built anew, or, with `problem`, could not be; from any thread."""
        self.build += not problem
        self.problem = problem
        self.changed()


class Api:
    """The endpoints; `start` is the folder from which runbooks are found, `runs` is None where nothing may run."""

    def __init__(self, start: str, state: State, runs: Runs | None) -> None:
        self._start = start
        self._state = state
        self._runs = runs

    def routes(self) -> list[BaseRoute]:
        """Every path there is; without runs, only what tells of new builds."""
        routes: list[BaseRoute] = [WebSocketRoute(f"/{API}/site", self.follow_site)]
        if self._runs is not None:
            routes += [
                Route(f"/{API}/runbooks/{{name}}", self.runbook),
                Route(f"/{API}/plan", self.plan, methods=["POST"]),
                Route(f"/{API}/runs", self.start, methods=["POST"]),
                Route(f"/{API}/runs/{{id}}", self.result),
                WebSocketRoute(f"/{API}/runs/{{id}}", self.follow_run),
            ]
        return routes

    def application(self) -> Starlette:
        return Starlette(routes=self.routes(), exception_handlers={RunbookError: _told, HTTPException: _told})

    @property
    def _all(self) -> Runs:
        assert self._runs is not None, "asked through a route that is not there"
        return self._runs

    async def runbook(self, request: Request) -> Response:
        """What a runbook asks for, and its labs: `{name, title, changes, parameters, labs}`."""
        return JSONResponse(await run_in_threadpool(self._form, request.path_params["name"]))

    def _form(self, name: str) -> dict[str, object]:
        runbook = find(name, self._start).load()
        # Somebody looks at it, and may run it next.
        self._all.warm()
        return {
            "name": runbook.name,
            "title": runbook.title,
            "changes": runbook.changes,
            "parameters": [_parameter(parameter) for parameter in runbook.parameters],
            "labs": [{"id": lab.id, "title": lab.title} for lab in runbook.labs],
        }

    async def plan(self, request: Request) -> Response:
        """`{name, values, lab}` to the plan as `runbook.plan/1`, with what each step does in words, and its digest.

        Where a value cannot be, to `{fields}`: what is wrong with each.
        """
        wanted = _wanted(await _json(request))
        return await run_in_threadpool(self._planned, *wanted)

    def _planned(self, name: str, values: dict[str, str], lab: str) -> Response:
        runbook = find(name, self._start).load()
        fields = dict(_wrong(runbook, values))
        if fields:
            # Nothing is wrong with the question: a person is still typing.
            return JSONResponse({"fields": fields})
        plan, scenario = _prepared(runbook, values, lab)
        words = [{"command": shlex.join(command.argv), "does": requirements(command)} for command in plan.commands]
        return JSONResponse({**as_json(plan), "shown": words, "digest": digest(plan, scenario)})

    async def start(self, request: Request) -> Response:
        """`{name, values, lab, digest}` to `{id}`: begins the run of the plan with this digest, which was shown."""
        body = await _json(request)
        wanted = _wanted(body)
        run = await run_in_threadpool(self._begun, *wanted, body.get("digest"))
        return JSONResponse({"id": run.id}, 201)

    def _begun(self, name: str, values: dict[str, str], lab: str, seen: object) -> LiveRun:
        runbook = find(name, self._start).load()
        if not runbook.trusted:
            raise UntrustedError(runbook.name)
        plan, scenario = _prepared(runbook, values, lab)
        if digest(plan, scenario) != seen:
            raise HTTPException(409, "the plan is not the one that was shown: the runbook was changed in between")
        return self._all.start(plan, scenario)

    async def result(self, request: Request) -> Response:
        """A finished run as a file: `?format=json` or `markdown`; 409 while it runs."""
        run, wanted = self._all.get(request.path_params["id"]), request.query_params.get("format", "json")
        if run is None or wanted not in ("json", "markdown"):
            raise HTTPException(404, "there is no such run: this server has not made it, or made many since")
        if run.run is None:
            raise HTTPException(409, "the run has no result" if run.log.ended else "the run is still under way")
        text = await run_in_threadpool("".join, renderer(wanted).render([run.run]))
        kind = "application/json" if wanted == "json" else "text/markdown; charset=utf-8"
        name = f"{run.plan.runbook.name}.{'json' if wanted == 'json' else 'md'}"
        return Response(text + "\n", media_type=kind, headers={"content-disposition": f'attachment; filename="{name}"'})

    async def follow_run(self, socket: WebSocket) -> None:
        """The frames after number `?after=`; takes `{cancel: true}`, `{keys: text}` and `{approve: step, yes}`."""
        await socket.accept(PROTOCOL)
        run, after = self._all.get(socket.path_params["id"]), socket.query_params.get("after", "0")
        if run is None:
            await socket.close(NO_SUCH_RUN, "no such run")
        elif not after.isdecimal() or len(after) > 15:
            await socket.close(NOT_UNDERSTOOD, "not understood")
        else:
            await _both(_send_frames(socket, run, int(after)), _hear(socket, lambda message: _obey(run, message)))

    async def follow_site(self, socket: WebSocket) -> None:
        """`{build, problem, runs: [{id, name, lab, state, started}]}`, now and whenever it changes."""
        await socket.accept(PROTOCOL)
        await _both(self._send_states(socket), _hear(socket, lambda message: False))

    async def _send_states(self, socket: WebSocket) -> None:
        while True:
            runs = None if self._runs is None else [_summary(run) for run in self._runs]
            await socket.send_json({"build": self._state.build, "problem": self._state.problem, "runs": runs})
            await self._state.wait(TICK_SECONDS)


def _parameter(parameter: Parameter) -> dict[str, object]:
    return {
        "name": parameter.name,
        "type": parameter.type,
        "help": parameter.help,
        "default": "" if parameter.default is None else written(parameter.default),
        "choices": list(parameter.choices),
        "offers": offers(parameter.type),
        "secret": parameter.secret,
        "required": parameter.required,
    }


def _wrong(runbook: Runbook, values: dict[str, str]) -> list[tuple[str, str]]:
    """What is wrong with each value, by its parameter; never repeats a value, which may be secret."""
    problems = []
    for parameter in runbook.parameters:
        if parameter.name in values:
            try:
                parse_value(parameter.type, values[parameter.name], parameter.choices, parameter.pattern)
            except ValueError as error:
                problems.append((parameter.name, str(error)))
        elif parameter.required:
            problems.append((parameter.name, "must be given"))
    return problems


def _prepared(runbook: Runbook, values: dict[str, str], lab: str) -> tuple[Plan, Scenario | None]:
    if not lab:
        return prepare(runbook, values), None
    scenario = chosen_lab(runbook, lab)
    return prepare_for_lab(runbook, scenario, values), scenario


def _summary(run: LiveRun) -> dict[str, object]:
    lab = run.scenario.id if run.scenario is not None else ""
    return {"id": run.id, "name": run.plan.runbook.name, "lab": lab, "state": run.state, "started": run.started}


async def _json(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.body())
    except (ValueError, RecursionError, ClientDisconnect):
        body = None
    if not isinstance(body, dict):
        raise HTTPException(400, "the body must be a JSON object")
    return body


def _wanted(body: dict[str, Any]) -> tuple[str, dict[str, str], str]:
    """The runbook's name, the values given, and the lab or an empty text. Raises HTTPException."""
    name, values, lab = body.get("name"), body.get("values", {}), body.get("lab", "")
    texts = [name, lab, *values.keys(), *values.values()] if isinstance(values, dict) else [None]
    if not all(isinstance(text, str) and "\0" not in text and _is_encodable(text) for text in texts):
        raise HTTPException(400, "name, lab and each of the values must be text")
    return str(name), values, str(lab)


def _is_encodable(text: str) -> bool:
    """Whether it is no half of a surrogate pair, which JSON can write and UTF-8 cannot."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _told(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException):
        return JSONResponse({"problem": error.detail, "cure": ""}, error.status_code)
    status = {Busy: 429, UntrustedError: 403}.get(type(error), 422)
    problem, _, cure = str(error).partition("\n")
    return JSONResponse({"problem": problem, "cure": cure.strip()}, status)


async def _both(sending: Any, hearing: Any) -> None:
    """Do both until one has ended, or the other side has gone."""
    tasks = [asyncio.ensure_future(sending), asyncio.ensure_future(hearing)]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        for told in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(told, Exception) and not isinstance(told, WebSocketDisconnect | RuntimeError):
                raise told


async def _send_frames(socket: WebSocket, run: LiveRun, after: int) -> None:
    while True:
        frames = await run.log.follow(after, TICK_SECONDS)
        if frames is None:
            await socket.close()
            return
        for number, text in frames:
            await socket.send_text(text)
            after = number
        if not frames:
            await socket.send_text('{"type": "tick"}')


async def _hear(socket: WebSocket, obey: Callable[[dict[str, Any]], bool]) -> None:
    """Take in messages; one that is not understood ends the connection."""
    while True:
        said = await socket.receive()
        if said["type"] != "websocket.receive":
            return
        try:
            message = json.loads(said.get("text") or "")
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict) or not obey(message):
            await socket.close(NOT_UNDERSTOOD, "not understood")
            return


def _obey(run: LiveRun, message: dict[str, Any]) -> bool:
    match message:
        case {"cancel": True}:
            run.cancel()
        case {"keys": str(text)} if len(text) <= BODY_BYTES:
            run.type(text)
        case {"approve": str(step), "yes": bool(yes)}:
            run.answer(step, yes)
        case _:
            return False
    return True
