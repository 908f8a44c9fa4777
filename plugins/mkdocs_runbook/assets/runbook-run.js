/* Runs a page's runbooks on the host that serves it; only `runbook serve` puts this into a page. The server says what would
   run, runs it, and streams what happens; here it becomes elements and text, never markup, but for the result, which is
   the same HTML that a built page has. */
(() => {
  "use strict";

  const API = "/_runbook/";
  const SCRIPT = document.currentScript.src;
  /* How many characters of a stream the page holds; the run itself keeps more. */
  const SHOWN_CHARACTERS = 200000;
  /* The server says something every ten seconds; who hears nothing for so long has lost it (a laptop slept). */
  const SILENT_MS = 25000;
  const SLOWEST_MS = 5000;
  const CLASS = /^rb-(?:[fb]g-(?:1[0-5]|[0-9])|bold|dim|italic|underline|strike|reverse)$/;
  const SIGNS = { ok: "✓", unknown: "?", warning: "!", critical: "✗", failed: "✗", running: "…" };

  let key = "";
  let state = null;
  const followed = new Set();

  /* ---- elements ---- */

  const el = (tag, properties, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(properties || {})) {
      if (name in element) element[name] = value;
      else element.setAttribute(name, value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  };
  const button = (text, action, properties) =>
    el("button", { type: "button", className: "rb-button", onclick: action, ...properties }, text);
  const clear = (element, ...children) => element.replaceChildren(...children);
  const cards = () => [...document.querySelectorAll(".rb[data-rb-name]")];

  /* ---- the server ---- */

  class Refused extends Error {
    constructor(status, said) {
      super(said.problem || `the server answered ${status}`);
      Object.assign(this, { status, cure: said.cure || "" });
    }
  }

  const ask = async (path, body) => {
    const headers = { Authorization: `Bearer ${key}` };
    if (body) headers["Content-Type"] = "application/json";
    const options = { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body), cache: "no-store" };
    const answer = await fetch(API + path, options);
    if (answer.ok) return answer;
    throw new Refused(answer.status, await answer.json().catch(() => ({})));
  };

  /* A WebSocket that comes back by itself. `path` is asked before each attempt; `closed` is told the code of an end that
     is meant, and whether the key was refused. */
  class Line {
    constructor(path, heard, closed, changed) {
      Object.assign(this, { path, heard, closed, changed, ended: false, tries: 0 });
      this.open();
      this.watch = setInterval(() => this.look(), 5000);
    }

    open() {
      const url = new URL(API + this.path(), location.href);
      url.protocol = "ws:";
      this.last = Date.now();
      const socket = this.socket = new WebSocket(url, ["runbook.1", `runbook.token.${key}`]);
      socket.addEventListener("message", (event) => {
        if (socket !== this.socket) return;
        this.last = Date.now();
        if (this.tries) this.changed(true);
        this.tries = 0;
        this.heard(JSON.parse(event.data));
      });
      socket.addEventListener("close", (event) => {
        if (socket === this.socket) this.lost(event.code);
      });
    }

    async lost(code) {
      if (this.ended) return;
      if (code === 1000 || code >= 4000) return this.end(code);
      this.tries += 1;
      this.changed(false);
      /* A browser does not say why a WebSocket was refused, but it does of a request. */
      const status = await ask("runs/none").then(() => 200, (error) => error.status || 0);
      if (this.ended) return;
      if (status === 401) return this.end(401);
      setTimeout(() => this.ended || this.open(), Math.min(SLOWEST_MS, 100 * 2 ** this.tries));
    }

    look() {
      if (!this.ended && Date.now() - this.last > SILENT_MS) this.again();
    }

    /* The old one may take minutes to notice. */
    again() {
      const old = this.socket;
      this.socket = null;
      old.close();
      this.lost(0);
    }

    send(message) {
      if (this.socket && this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
    }

    end(code) {
      this.ended = true;
      clearInterval(this.watch);
      if (this.socket) this.socket.close();
      this.closed(code);
    }
  }

  /* ---- one run, as it happens ---- */

  class Stream {
    constructor(panel, id) {
      Object.assign(this, { panel, id, n: 0, steps: new Map(), typing: "" });
      this.status = el("p", { className: "rb-status", role: "status" }, "Starting…");
      this.tools = el("p", { className: "rb-tools" }, button("Cancel", () => this.cancel()));
      this.lost = el("p", { className: "rb-remark", hidden: true });
      this.result = el("div", { className: "rb-result" });
      this.notes = el("ul", { className: "rb-notes" });
      this.asks = el("div", {});
      this.list = el("div", { className: "rb-running" });
      this.element = el("section", { className: "rb-stream-of-run", id: `rb-run-${id}`, tabIndex: -1 },
        this.status, this.tools, this.lost, this.asks, this.result, this.notes, this.list);
      followed.add(this);
      this.line = new Line(() => `runs/${id}?after=${this.n}`, (frame) => this.take(frame),
        (code) => this.closed(code), (there) => this.say(there ? "" : "The server does not answer; trying again…"));
      this.clock = setInterval(() => this.tick(), 500);
    }

    say(text) {
      this.lost.textContent = text;
      this.lost.hidden = !text;
    }

    cancel() {
      this.status.textContent = "Cancelling…";
      this.line.send({ cancel: true });
    }

    closed(code) {
      clearInterval(this.clock);
      if (this.done) return;
      this.say(code === 401 ? LOST_KEY : code === 4404 ? "This run is gone: the server was started again since, or made many."
        : "The server closed the connection.");
      this.finish("failed", "Not followed to its end");
    }

    take(frame) {
      if (!frame.n || frame.n <= this.n) return;
      this.n = frame.n;
      const take = this[`on_${frame.type}`];
      if (take) take.call(this, frame);
    }

    on_begin(frame) {
      this.label = frame.lab ? `in lab ${frame.lab.id}` : "on this host";
      this.status.textContent = `Running ${this.label}…`;
      for (const step of frame.steps) this.steps.set(step.step, this.step(step));
    }

    step(step) {
      const state = el("span", { className: "rb-ended" }, "waiting");
      const body = el("div", {}, el("pre", { className: "rb-command", tabIndex: 0 }, el("code", {}, step.command)));
      const details = el("details", { className: "rb-step" },
        el("summary", {}, el("code", {}, step.step), ` ${step.title} `, state), body);
      this.list.append(details);
      return { state, body, details, streams: {} };
    }

    on_started(frame) {
      const step = this.steps.get(frame.step);
      step.began = Date.now();
      step.details.open = true;
      this.status.textContent = `Running ${frame.step} ${this.label}…`;
      if (frame.terminal) this.prompt(frame.step, step);
    }

    tick() {
      for (const step of this.steps.values()) {
        if (step.began) step.state.textContent = `running, ${Math.round((Date.now() - step.began) / 1000)} s`;
      }
    }

    on_output(frame) {
      const step = this.steps.get(frame.step);
      const stream = step.streams[frame.stream] || this.stream(step, frame.stream);
      const near = stream.pre.scrollHeight - stream.pre.scrollTop - stream.pre.clientHeight < 40;
      if (frame.at > stream.seen) this.gap(stream, frame.at - stream.seen);
      stream.seen = frame.at;
      for (const [classes, text] of frame.pieces) {
        const known = classes.split(" ").filter((name) => CLASS.test(name)).join(" ");
        stream.code.append(known ? el("span", { className: known }, text) : text);
        stream.seen += text.length + stray(text);
        stream.held += text.length;
      }
      while (stream.held > SHOWN_CHARACTERS && stream.code.childNodes.length > 1) {
        const first = stream.code.firstChild;
        stream.held -= first.textContent.length;
        this.cut(stream, first.textContent.length);
        first.remove();
      }
      if (near) stream.pre.scrollTop = stream.pre.scrollHeight;
    }

    stream(step, name) {
      const code = el("code", {});
      const pre = el("pre", { className: `rb-output rb-${name}`, tabIndex: 0 }, code);
      const left = el("p", { className: "rb-remark", hidden: true });
      step.body.append(el("p", { className: "rb-stream" }, name), left, pre);
      return step.streams[name] = { code, pre, left, seen: 0, held: 0, missing: 0 };
    }

    gap(stream, count) {
      stream.code.append(el("span", { className: "rb-gap" }, `… ${count} characters left out\n`));
    }

    cut(stream, count) {
      stream.missing += count;
      stream.left.textContent = `… the first ${stream.missing} characters are not shown`;
      stream.left.hidden = false;
    }

    on_ended(frame) {
      const step = this.steps.get(frame.step);
      step.began = 0;
      step.details.open = false;
      step.details.classList.toggle("rb-bad", !frame.ok);
      step.state.textContent = `${frame.words} · ${frame.took}`;
      if (step.form) step.form.remove();
    }

    prompt(name, step) {
      const input = el("input", { type: "text", autocomplete: "off", spellcheck: false, "aria-label": `Answer ${name}` });
      const form = el("form", { className: "rb-prompt" }, input, el("button", { className: "rb-button" }, "Send"));
      form.addEventListener("submit", (event) => {
        event.preventDefault();
        this.line.send({ keys: `${input.value}\n` });
        input.value = "";
      });
      Object.assign(step, { form, input });
      this.typing = name;
      step.body.append(form);
    }

    on_echo(frame) {
      const step = this.steps.get(this.typing);
      if (step && step.input) step.input.type = frame.on ? "text" : "password";
    }

    on_note(frame) {
      this.notes.append(el("li", {}, frame.text));
      this.status.textContent = frame.text;
    }

    on_ask(frame) {
      const answer = (yes) => this.line.send({ approve: frame.step, yes });
      const undo = frame.undo && el("p", {}, "It can be undone by: ", el("code", {}, frame.undo));
      this.asks.append(el("div", { className: "rb-approve rb-critical", id: `${this.element.id}--Ask-${frame.step}`, tabIndex: -1 },
        el("p", { className: "rb-said" }, `${frame.title}: this changes ${this.label === "on this host" ? "this host" : "the lab"}`),
        el("pre", { className: "rb-command", tabIndex: 0 }, el("code", {}, frame.command)), undo || null,
        el("p", {}, button("Do it", () => answer(true)), button("Do not", () => answer(false)))));
      this.asks.lastChild.focus();
      this.status.textContent = `${frame.step} waits for your word`;
    }

    on_answered() {
      clear(this.asks);
    }

    on_end(frame) {
      this.done = true;
      if (frame.problem) {
        clear(this.result, el("p", { className: "rb-said" }, frame.problem), el("pre", {}, el("code", {}, frame.cure)));
        this.finish("failed", "The run failed");
        return;
      }
      /* The renderer's own HTML, in which all that a command printed is text; nothing in it is a script. */
      clear(this.result, ...new DOMParser().parseFromString(frame.html, "text/html").body.childNodes);
      this.list.remove();
      this.notes.remove();
      this.finish(frame.verdict, `Done in ${frame.took}`);
    }

    finish(verdict, words) {
      clearInterval(this.clock);
      for (const step of this.steps.values()) if (step.form) step.form.remove();
      this.status.className = `rb-status rb-${verdict}`;
      clear(this.status, el("span", { className: "rb-sign" }, SIGNS[verdict] || ""), ` ${words}: ${verdict}`);
      clear(this.asks);
      clear(this.tools, button("Run again", () => this.panel.plan()), button("Close", () => this.panel.close()));
      if (this.done && verdict !== "failed") {
        this.tools.append(button("JSON", () => this.save("json")), button("Markdown", () => this.save("markdown")),
          el("a", { href: `#rb-run-${this.id}`, className: "rb-permalink" }, "Link to this run"));
      }
      followed.delete(this);
    }

    async save(format) {
      try {
        const answer = await ask(`runs/${this.id}?format=${format}`);
        const link = el("a", { href: URL.createObjectURL(await answer.blob()),
          download: /filename="([^"]+)"/.exec(answer.headers.get("content-disposition"))[1] });
        link.click();
        setTimeout(() => URL.revokeObjectURL(link.href), 10000);
      } catch (error) {
        this.say(`Not saved: ${error.message}`);
      }
    }

    leave() {
      followed.delete(this);
      clearInterval(this.clock);
      this.done = true;
      if (!this.line.ended) this.line.end(1000);
    }
  }

  /* Characters beyond 16 bits are two for JavaScript and one for the server, which counts. */
  const stray = (text) => -(text.match(/[\ud800-\udbff][\udc00-\udfff]/g) || []).length;

  /* ---- what a card offers ---- */

  const LOST_KEY = "This server was started again, or this tab has lost its key, which it keeps in memory only. "
    + "Open the address that `runbook serve` printed.";

  class Panel {
    constructor(card) {
      this.card = card;
      this.name = card.dataset.rbName;
      this.bar = el("p", { className: "rb-do" });
      this.body = el("div", {});
      this.element = el("section", { className: "rb-live", "aria-label": "Run" }, this.bar, this.body);
      const tags = card.querySelector(".rb-tags");
      if (tags) tags.after(this.element);
      else card.prepend(this.element);
      this.left = new Set();
      card.rbPanel = this;
      this.offer();
      this.join();
    }

    /* Which buttons there are, by what is known of the server. */
    offer() {
      const able = state && state.runs;
      clear(this.bar);
      if (state && !state.runs) return;
      if (!able) {
        this.bar.append(el("span", { className: "rb-remark" }, key && !refused ? "The server does not answer." : LOST_KEY));
        return;
      }
      if (!this.stream && !this.asking) this.bar.append(button("Run on this host…", () => this.plan()));
      for (const run of state.runs.filter((run) => run.name === this.name).slice(-3).reverse()) {
        if (this.stream && this.stream.id === run.id) continue;
        const time = new Date(run.started * 1000).toLocaleTimeString();
        this.bar.append(button(`${SIGNS[run.state] || ""} ${run.lab || "run"} ${time}`, () => this.follow(run.id),
          { className: `rb-button rb-quietly rb-${run.state}` }));
      }
    }

    /* What another tab has begun is shown here too, unless this one shows something else, or has closed it. */
    join() {
      if (this.stream || this.asking || !state || !state.runs) return;
      const run = state.runs.find((run) => run.name === this.name && run.state === "running" && !this.left.has(run.id));
      if (run) this.follow(run.id);
    }

    reset() {
      if (this.stream) this.stream.leave();
      this.stream = null;
      this.asking = false;
      clear(this.body);
    }

    close() {
      if (this.stream) this.left.add(this.stream.id);
      this.reset();
      this.offer();
    }

    follow(id) {
      if (this.stream && this.stream.id === id) return;
      this.reset();
      this.stream = new Stream(this, id);
      clear(this.body, this.stream.element);
      this.offer();
    }

    /* First what would happen, and what it needs to know. */
    async plan() {
      this.reset();
      this.asking = true;
      this.offer();
      clear(this.body, el("p", { className: "rb-status", role: "status" }, "Asking what it would do…"));
      try {
        const form = await (await ask(`runbooks/${encodeURIComponent(this.name)}`)).json();
        if (this.asking) new Form(this, form);
      } catch (error) {
        this.asking = false;
        clear(this.body, problem(error));
        this.offer();
      }
    }
  }

  const problem = (error) => el("div", { className: "rb-problem", role: "alert" },
    el("p", { className: "rb-said" }, error.message), error.cure ? el("pre", {}, el("code", {}, error.cure)) : null);

  class Form {
    constructor(panel, form) {
      Object.assign(this, { panel, form, fields: new Map(), asked: 0 });
      this.where = el("select", { onchange: () => this.replan() }, el("option", { value: "" }, "this host"),
        ...form.labs.map((lab) => el("option", { value: lab.id }, `lab ${lab.id}: ${lab.title}`)));
      this.shown = el("div", { className: "rb-plan" });
      this.run = el("button", { className: "rb-button rb-main", disabled: true }, "Run");
      this.element = el("form", { className: "rb-form", noValidate: true },
        ...(form.labs.length ? [el("label", { className: "rb-field" }, el("span", {}, "Where"), this.where)] : []),
        ...form.parameters.map((parameter) => this.field(parameter)),
        el("p", { className: "rb-tools" }, this.run, button("Close", () => panel.close())), this.shown);
      this.element.addEventListener("submit", (event) => {
        event.preventDefault();
        this.start();
      });
      clear(panel.body, this.element);
      this.replan();
    }

    field(parameter) {
      const given = JSON.parse(this.panel.card.dataset.rbGiven || "{}");
      const value = given[parameter.name] ?? parameter.default;
      const id = `${this.panel.card.id}--F-${parameter.name}`;
      const choices = parameter.type === "boolean" ? ["true", "false"] : parameter.choices;
      let input;
      let list = null;
      if (choices.length) {
        const options = parameter.default ? choices : ["", ...choices];
        input = el("select", { id }, ...options.map((choice) => el("option", { value: choice }, choice)));
      } else {
        const kinds = { integer: "numeric", number: "decimal", url: "url" };
        input = el("input", { id, type: parameter.secret ? "password" : "text", autocomplete: "off", spellcheck: false,
          inputMode: kinds[parameter.type] || "text", placeholder: parameter.secret ? "" : parameter.type });
        if (parameter.offers.length) {
          list = el("datalist", { id: `${id}-offers` }, ...parameter.offers.map((offer) => el("option", { value: offer })));
          input.setAttribute("list", list.id);
        }
      }
      input.value = value;
      input.required = parameter.required;
      const wrong = el("span", { className: "rb-wrong", id: `${id}-wrong`, role: "alert" });
      input.setAttribute("aria-describedby", `${id}-help ${wrong.id}`);
      input.addEventListener("input", () => this.replan(300));
      this.fields.set(parameter.name, { input, wrong, parameter });
      return el("div", { className: "rb-field" },
        el("label", { htmlFor: id }, parameter.name, parameter.required ? " (needed)" : ""), input, list, wrong,
        el("span", { className: "rb-remark", id: `${id}-help` }, parameter.help));
    }

    /* What differs from the defaults, so that a run says what a person chose. */
    values() {
      const values = {};
      for (const [name, { input, parameter }] of this.fields) {
        if (input.value !== parameter.default) values[name] = input.value;
        if (input.value === "" && !parameter.required && parameter.type !== "string") delete values[name];
        if (input.value === "" && parameter.required) delete values[name];
      }
      return values;
    }

    wanted() {
      return { name: this.panel.name, values: this.values(), lab: this.where.value };
    }

    replan(wait) {
      clearTimeout(this.timer);
      this.run.disabled = true;
      this.digest = "";
      this.timer = setTimeout(() => this.ask(), wait || 0);
    }

    async ask() {
      const number = ++this.asked;
      try {
        const plan = await (await ask("plan", this.wanted())).json();
        if (number === this.asked) plan.digest ? this.show(plan) : this.refuse(plan);
      } catch (error) {
        if (number === this.asked) this.refuse(error);
      }
    }

    show(plan) {
      this.mark({});
      this.digest = plan.digest;
      this.run.disabled = false;
      this.run.textContent = this.where.value ? "Run in this lab" : "Run on this host";
      const items = plan.commands.map((command, index) => el("li", { className: command.effect === "change" ? "rb-critical" : "" },
        el("code", {}, plan.shown[index].command),
        el("span", { className: "rb-remark" }, ` ${plan.shown[index].does.join("; ")}${command.sandbox ? `; confined as ${command.sandbox}` : ""}`)));
      clear(this.shown, el("p", { className: "rb-said" }, "This would run:"), el("ol", {}, ...items));
    }

    mark(fields) {
      for (const [name, { input, wrong }] of this.fields) {
        wrong.textContent = fields[name] ? `It ${fields[name]}.` : "";
        input.setAttribute("aria-invalid", fields[name] ? "true" : "false");
      }
    }

    refuse(error) {
      this.mark(error.fields || {});
      clear(this.shown, ...(error.fields && Object.keys(error.fields).length ? [] : [problem(error)]));
    }

    async start() {
      if (!this.digest) return;
      this.run.disabled = true;
      try {
        const { id } = await (await ask("runs", { ...this.wanted(), digest: this.digest })).json();
        this.panel.follow(id);
        this.panel.stream.element.focus({ preventScroll: true });
        this.panel.element.scrollIntoView({ block: "nearest" });
      } catch (error) {
        this.refuse(error);
        if (error.status === 409) this.replan(1500);
        else this.run.disabled = false;
      }
    }
  }

  /* ---- the page ---- */

  const enhance = () => {
    for (const card of cards()) if (!card.rbPanel) new Panel(card);
    const wanted = /^#rb-run-([\w-]{8,40})/.exec(location.hash);
    const run = wanted && state && state.runs && state.runs.find((run) => run.id === wanted[1]);
    const card = run && cards().find((card) => card.dataset.rbName === run.name);
    if (card) card.rbPanel.follow(run.id);
  };

  /* The page was built anew: its content takes the place of the old one, with the runs that are shown in it. */
  const renew = async () => {
    const answer = await fetch(location.href, { cache: "no-cache" });
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const [old, content] = [document, fresh].map((root) => root.querySelector(".md-content, [role=main]"));
    if (!answer.ok || !old || !content) return;
    const panels = new Map(cards().map((card) => [card.id, card.rbPanel]));
    document.title = fresh.title;
    old.replaceWith(document.adoptNode(content));
    for (const card of cards()) {
      const panel = panels.get(card.id);
      if (!panel || panel.name !== card.dataset.rbName) continue;
      Object.assign(panel, { card });
      card.rbPanel = panel;
      card.querySelector(".rb-tags").after(panel.element);
    }
    /* Copy buttons, tabs and the like are the theme's to put in again. */
    if (window.document$ && window.document$.next) window.document$.next(document);
    else enhance();
  };

  let line = null;
  let refused = false;

  const connect = () => {
    if (line) line.end(1000);
    refused = false;
    line = new Line(() => "site", (told) => {
      const built = state && told.build !== state.build;
      state = told;
      notice(told.problem ? `The site could not be built: ${told.problem}` : "");
      enhance();
      for (const { rbPanel } of cards()) {
        rbPanel.offer();
        rbPanel.join();
      }
      if (built) renew();
    }, (code) => {
      if (code === 1000) return;
      refused = code === 401;
      unknown();
    }, (there) => {
      if (!there) unknown();
    });
  };

  /* Nobody says any more what there is. */
  const unknown = () => {
    state = null;
    for (const card of cards()) if (card.rbPanel) card.rbPanel.offer();
  };

  const notice = (text) => {
    const old = document.querySelector(".rb-notice");
    if (old) old.remove();
    if (text) document.body.append(el("p", { className: "rb-notice", role: "alert" }, text));
  };

  const wake = () => {
    for (const one of [line, ...[...followed].map((stream) => stream.line)]) {
      if (one && !one.ended && Date.now() - one.last > SILENT_MS / 2) one.again();
    }
  };

  const begin = () => {
    const found = /^#token=([\w-]{20,})$/.exec(location.hash);
    if (found) {
      key = found[1];
      history.replaceState(history.state, "", location.pathname + location.search);
    }
    const worker = "SharedWorker" in window
      ? new SharedWorker(new URL("runbook-key.js", SCRIPT), { name: "runbook-key", extendedLifetime: true }) : null;
    if (worker) {
      worker.port.addEventListener("message", (event) => {
        if (!event.data || event.data === key) return;
        key = event.data;
        connect();
      });
      worker.port.start();
      if (key) worker.port.postMessage(key);
    }
    if (key) connect();
    enhance();
  };

  window.addEventListener("online", wake);
  document.addEventListener("visibilitychange", () => document.hidden || wake());
  window.addEventListener("hashchange", enhance);
  begin();
  if (window.document$) window.document$.subscribe(() => enhance());
  else if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", enhance);
})();
