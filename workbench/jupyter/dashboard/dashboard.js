// The view of a node's dashboard: shows what Python's frames say, and tells Python of buttons.
//
// Python formats every number; here text goes into place, and nothing is replaced that did not
// change. A frame is one message: JSON in its first buffer. The view says hello when it can be
// seen, and gets a whole frame back; from then on frames tell the differences. A gap in their
// numbers, as after a lost connection, makes it say hello again.
//
// For tests and style sheets: `data-wb` names each part (`state`, `phase`, `tile-…`, `table-…`,
// `action-…`, `kill`, `notice-…`), `data-key` each row, `data-column` each cell.
//
// One module with parts.js and charts.js, which stand before it.

const SILENT_AFTER_MS = 3000;
const HERE_EVERY_MS = 15000;
const UNREAD_AFTER_MS = 1500;
const CLOSED = "This dashboard is closed. node.dashboard() opens it again.";

class DashboardView {
  constructor(model, element) {
    this.model = model;
    this.id = crypto.randomUUID ? crypto.randomUUID() : String(Math.random()).slice(2);
    this.pressed = new Map();
    this.presses = 0;
    this.history = { sparks: [], prices: {}, profit: {}, marks: [], stalls: [] };
    this.number = null;
    this.last = performance.now();
    this.root = part("div", "wb-dashboard", "dashboard", element);
    this.waiting = part("div", "wb-empty", "waiting", this.root, "Waiting for the kernel…");
    this.listen();
    this.look();
  }

  send(kind, more) {
    this.model.send({ kind, view: this.id, ...more });
  }

  listen() {
    this.undo = [];
    const on = (target, event, callback) => {
      target.addEventListener(event, callback);
      this.undo.push(() => target.removeEventListener(event, callback));
    };
    const take = (content, buffers) => this.take(content, buffers);
    this.model.on("msg:custom", take);
    this.undo.push(() => this.model.off("msg:custom", take));
    on(document, "visibilitychange", () => this.look());
    on(window, "pagehide", () => this.send("bye"));
    const timer = setInterval(() => this.watch(), 500);
    this.undo.push(() => clearInterval(timer));
    // Python sends nothing more to a view that says nothing: its page may have crashed.
    const here = setInterval(() => {
      if (!document.hidden && !this.isClosed && !this.isLast) this.send("here");
    }, HERE_EVERY_MS);
    this.undo.push(() => clearInterval(here));
    const themes = new MutationObserver(() => this.paint());
    const attributeFilter = ["data-jp-theme-light", "data-jp-theme-name", "class"];
    themes.observe(document.body, { attributes: true, attributeFilter });
    this.undo.push(() => themes.disconnect());
  }

  look() {
    if (document.hidden) this.send("bye");
    else this.hello();
  }

  hello() {
    this.number = null;
    this.asked = this.last = performance.now();
    this.send("hello");
  }

  take(content, buffers) {
    if (content.kind === "frame") this.takeFrame(content, buffers[0]);
    else if (content.kind === "reply" && content.view === this.id) this.takeReply(content);
    else if (content.kind === "closed") this.close();
    else if (content.kind === "failed") this.takeFailure(content.text);
    else if (content.kind === "charts") this.takeCharts(content.has_script, buffers);
  }

  needCharts() {
    if (!this.charts) {
      this.charts = new Promise((resolve) => (this.resolveCharts = resolve));
      // Which BokehJS is needed is known only from the answer.
      this.send("charts", { script: !window.Bokeh && !Object.keys(bokehs).length });
    }
    return this.charts;
  }

  takeCharts(hasScript, buffers) {
    if (!this.resolveCharts) return;
    const [described, source] = buffers.map((one) => new TextDecoder().decode(one));
    const { version, items } = JSON.parse(described);
    const api = findBokeh(version) || (hasScript && loadBokeh(version, source));
    if (api) this.resolveCharts({ api, items });
    else this.send("charts", { script: true });
  }

  takeFailure(text) {
    this.failure = text;
    if (this.parts) this.watch();
    else setText(this.waiting, text);
  }

  takeFrame(content, buffer) {
    if (document.hidden || this.isClosed) return;
    this.last = performance.now();
    this.failure = "";
    if (!content.whole && content.number !== this.number + 1) {
      // A difference to a frame this view has not seen; one hello is enough.
      if (this.number !== null) this.hello();
      return;
    }
    this.number = content.number;
    const frame = JSON.parse(new TextDecoder().decode(buffer));
    try {
      if (content.whole) this.begin(frame);
      this.show(frame, content.whole);
    } catch (error) {
      console.error(error);  // what calls this would swallow it
      this.takeFailure(`The dashboard itself failed: ${error}`);
    }
    this.watch();
  }

  // Building

  begin(frame) {
    this.history = { sparks: [], prices: {}, profit: {}, marks: [], stalls: [] };
    this.isLast = false;
    if (this.parts) return;
    this.waiting.remove();
    this.most = frame.most;
    this.tables = {};
    const parts = (this.parts = {});
    const root = this.root;
    const top = make("div", "wb-top", root);
    const title = make("div", "wb-title", top);
    parts.trader = part("span", "wb-trader", "trader", title);
    parts.ways = part("span", "wb-ways", "ways", title);
    parts.where = part("span", "wb-quiet", "where", title);
    parts.clock = part("span", "wb-quiet wb-clock", "clock", title);
    const close = part("button", "wb-close", "close", title, "×");
    close.title = "Close this dashboard; the node goes on";
    close.onclick = () => this.send("close");
    const strip = make("div", "wb-strip-row", top);
    parts.strip = part("ol", "wb-strip", "strip", strip);
    parts.steps = frame.states.map((state) => {
      const step = make("li", "", parts.strip);
      step.dataset.state = state;
      make("span", "", step, state.toLowerCase());
      return step;
    });
    parts.phase = part("span", "wb-phase", "phase", strip);
    const bar = make("div", "wb-bar", top);
    parts.actions = {};
    for (const [action, label, help] of frame.actions) {
      const button = part("button", `wb-button wb-${action}`, `action-${action}`, bar, label);
      button.title = help;
      button.onclick = () => this.press(action, label);
      parts.actions[action] = button;
      if (action === "dispose") parts.trading = part("span", "wb-trading", "trading", bar);
    }
    parts.notices = make("div", "wb-notices", root);
    parts.tiles = make("div", "wb-tiles", root);
    this.beginTabs(frame);
  }

  beginTabs(frame) {
    const strip = make("div", "wb-tabs", this.root);
    strip.setAttribute("role", "tablist");
    this.tabs = frame.tabs.map(([name, label]) => {
      const tab = part("button", "wb-tab", `tab-${name}`, strip);
      make("span", "", tab, label);
      const badge = part("span", "wb-badge", `badge-${name}`, tab);
      const page = part("div", "wb-page", `page-${name}`, this.root);
      tab.setAttribute("role", "tab");
      page.setAttribute("role", "tabpanel");
      tab.onclick = () => this.choose(name);
      return { name, tab, badge, page };
    });
    const pages = Object.fromEntries(this.tabs.map((one) => [one.name, one.page]));
    const section = (page, title, name, more) => {
      const box = make("section", `wb-section${more ? ` ${more}` : ""}`, pages[page]);
      const head = make("h4", "", box, title);
      if (frame.tables[name]) this.tables[name] = new Table(box, name, frame.tables[name]);
      return { box, head };
    };
    const prices = section("trading", "Price", "", "wb-wide");
    const choice = part("select", "wb-choice", "instrument", prices.head);
    choice.setAttribute("aria-label", "instrument of the price chart");
    choice.onchange = () => {
      this.isChosen = true;
      this.showInstrument();
    };
    this.choice = choice;
    const legend = make("span", "wb-legend", prices.head);
    make("span", "wb-up", legend, "▲ bought");
    make("span", "wb-down", legend, "▼ sold");
    this.price = new Chart(prices.box, "price", this);
    const profit = section("trading", "Profit", "", "wb-narrow");
    this.currency = part("select", "wb-choice", "currency", profit.head);
    this.currency.setAttribute("aria-label", "currency of the profit chart");
    this.currency.onchange = () => this.showProfit();
    const lines = make("span", "wb-legend", profit.head);
    make("span", "wb-line-total", lines, "━ total");
    make("span", "wb-quiet", lines, "┅ realised");
    this.profit = new Chart(profit.box, "profit", this);
    section("trading", "Positions", "positions", "wb-short");
    section("trading", "Accounts", "accounts", "wb-short");
    section("orders", "Open orders", "open_orders", "wb-short");
    section("orders", "Ended orders", "ended_orders", "wb-short");
    section("orders", "Fills", "fills", "wb-short");
    section("channels", "Channels", "channels");
    section("channels", "Engine lanes", "lanes", "wb-lanes");
    const stalls = section("channels", "Stalls of the loop", "", "wb-stalls");
    this.noStalls = part("div", "wb-empty", "no-stalls", stalls.box, frame.no_stalls);
    this.stall = new Chart(stalls.box, "stalls", this);
    this.exceptions = part("div", "wb-exceptions", "exceptions", section("log", "Exceptions", "").box);
    this.log = part("div", "wb-log", "log", section("log", "Log", "").box);
    this.choose(this.tabs[0].name);
  }

  choose(name) {
    for (const { name: other, tab, page } of this.tabs) {
      tab.setAttribute("aria-selected", String(other === name));
      page.hidden = other !== name;
    }
    if (name === "channels") this.drawSparks();
    if (name === "log") this.log.scrollTop = this.log.scrollHeight;
    this.chosen = name;
  }

  // Showing

  show(frame, isWhole) {
    if (frame.head) this.showHead(frame.head);
    if (frame.clock !== undefined) setText(this.parts.clock, frame.clock);
    if (frame.tiles) this.showTiles(frame.tiles);
    for (const [name, rows] of Object.entries(frame.rows || {})) this.tables[name].show(rows);
    if (frame.badges) {
      for (const { name, badge } of this.tabs) {
        const [text, tone] = frame.badges[name] || ["", ""];
        setText(badge, text);
        setClass(badge, `wb-badge wb-${tone || "plain"}`);
        setHidden(badge, !text);
      }
    }
    this.addSparks(frame.sparks || []);
    this.addPrices(frame.prices || {}, isWhole);
    this.addProfit(frame.profit || {}, isWhole);
    if (frame.marks) this.addMarks(frame.marks);
    this.addStalls(frame.stalls || [], frame.window, isWhole);
    if (frame.exceptions) this.showExceptions(frame.exceptions);
    if (frame.log || isWhole) this.addLog(frame.log || [], isWhole);
    this.isLast = this.isLast || Boolean(frame.is_last);
  }

  showHead(head) {
    const parts = this.parts;
    setText(parts.trader, head.trader);
    this.showWays(head.ways);
    setText(parts.where, head.where);
    const present = parts.steps.findIndex((step) => step.dataset.state === head.state);
    parts.steps.forEach((step, index) => {
      setClass(step, index < present ? "wb-past" : index === present ? "wb-present" : "");
      if (index === present) step.setAttribute("aria-current", "step");
      else step.removeAttribute("aria-current");
    });
    parts.strip.dataset.state = head.state;
    setText(parts.phase, head.phase);
    for (const [action, button] of Object.entries(parts.actions)) {
      setHidden(button, head.hidden.includes(action));
      const isOff = !head.allowed.includes(action);
      if (button.disabled !== isOff) button.disabled = isOff;
    }
    setText(parts.trading, head.trading);
    setClass(parts.trading, `wb-trading wb-${head.trading_tone}`);
    this.notices = head.notices;
  }

  showWays(ways) {
    const box = this.parts.ways;
    while (box.children.length > ways.length) box.lastChild.remove();
    ways.forEach(([text, tone, help], index) => {
      const badge = box.children[index] || make("span", "", box);
      setText(badge, text);
      setClass(badge, `wb-way wb-${tone}`);
      if (badge.title !== help) badge.title = help;
    });
  }

  showTiles(tiles) {
    const box = this.parts.tiles;
    tiles.forEach(([name, label, value, tone], index) => {
      let tile = box.children[index];
      if (!tile) {
        tile = make("div", "wb-tile", box);
        make("div", "wb-label", tile, label);
        part("div", "wb-value", `tile-${name}`, tile);
      }
      setText(tile.lastChild, value);
      setClass(tile, tone ? `wb-tile wb-${tone}` : "wb-tile");
    });
  }

  addSparks(points) {
    const all = this.history.sparks;
    for (const point of points) {
      if (all.length && all[all.length - 1][0] === point[0]) all[all.length - 1] = point;
      else all.push(point);
    }
    all.splice(0, Math.max(0, all.length - SPARK_POINTS));
    if (points.length && this.chosen === "channels") this.drawSparks();
  }

  drawSparks() {
    for (const name of ["channels", "lanes"]) {
      for (const svg of this.tables[name].sparks) {
        drawSpark(svg, this.history.sparks, Number(svg.dataset.series));
      }
    }
  }

  // Keeps the points of several series, and passes those of the chosen one on to its chart.
  addSeries(kept, added, isWhole, choice, stream, showAll) {
    let isNew = isWhole;
    for (const [name, rows] of Object.entries(added)) {
      if (!kept[name]) {
        kept[name] = [];
        isNew = true;
      }
      kept[name].push(...rows);
      kept[name].splice(0, Math.max(0, kept[name].length - this.most.points));
      if (!isWhole && name === choice.value) stream(rows);
    }
    if (isNew) {
      this.offer(choice, Object.keys(kept));
      showAll();
    }
  }

  offer(choice, names) {
    const chosen = choice.value;
    if (choice.options.length !== names.length) {
      choice.replaceChildren(...names.map((name) => new Option(name, name)));
      if (names.includes(chosen)) choice.value = chosen;
    }
    choice.hidden = !names.length;
    choice.disabled = names.length < 2;
  }

  addPrices(added, isWhole) {
    const names = ["t", "bid", "ask", "mid"];
    const stream = (rows) =>
      this.price.stream("prices", columns(names, rows), this.most.points, () => this.pricesNow());
    this.addSeries(this.history.prices, added, isWhole, this.choice, stream, () =>
      this.showInstrument(),
    );
  }

  pricesNow() {
    return columns(["t", "bid", "ask", "mid"], this.history.prices[this.choice.value] || []);
  }

  showInstrument() {
    this.price.set("prices", this.pricesNow());
    this.showMarks();
  }

  addMarks(rows) {
    this.history.marks.push(...rows);
    this.history.marks.splice(0, Math.max(0, this.history.marks.length - this.most.points));
    const traded = rows.length ? rows[rows.length - 1][0] : "";
    if (!this.isChosen && this.history.prices[traded] && traded !== this.choice.value) {
      // Until somebody chooses: show what is traded.
      this.isChosen = true;
      this.choice.value = traded;
      this.showInstrument();
    } else this.showMarks();
  }

  showMarks() {
    const here = this.history.marks.filter((row) => row[0] === this.choice.value);
    for (const side of ["buy", "sell"]) {
      const rows = here.filter((row) => row[1] === side).map((row) => row.slice(2));
      this.price.set(side, columns(["t", "price", "text"], rows));
    }
  }

  addProfit(added, isWhole) {
    const stream = (rows) =>
      this.profit.stream("profit", columns(["t", "total", "realised"], rows), this.most.points, () =>
        this.profitNow(),
      );
    this.addSeries(this.history.profit, added, isWhole, this.currency, stream, () =>
      this.showProfit(),
    );
  }

  profitNow() {
    return columns(["t", "total", "realised"], this.history.profit[this.currency.value] || []);
  }

  showProfit() {
    this.profit.set("profit", this.profitNow());
  }

  addStalls(rows, span, isWhole) {
    const all = this.history.stalls;
    if (rows.length || isWhole) {
      all.push(...rows);
      all.splice(0, Math.max(0, all.length - this.most.points));
      this.stall.set("stalls", columns(["t", "end", "seconds", "text"], all));
      setHidden(this.noStalls, all.length > 0);
      setHidden(this.stall.element, !all.length);
    }
    if (span) this.stall.window(...span);
  }

  showExceptions(texts) {
    this.exceptions.replaceChildren();
    if (!texts.length) make("div", "wb-empty", this.exceptions, "None.");
    for (const text of texts) make("pre", "", this.exceptions, text);
  }

  addLog(lines, isWhole) {
    const box = this.log;
    // Whoever has scrolled up reads: new lines must not pull that away.
    const isAtEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 30;
    if (isWhole) box.replaceChildren();
    for (const [time, level, text] of lines) {
      const line = make("div", `wb-log-line wb-${level.toLowerCase()}`, box);
      make("span", "wb-quiet", line, time);
      make("span", "wb-level", line, level.toLowerCase());
      make("span", "wb-message", line, text);
    }
    while (box.childElementCount > this.most.log_lines) box.firstChild.remove();
    if (!box.childElementCount) make("div", "wb-empty", box, "Nothing yet.");
    else if (box.childElementCount > 1) box.querySelector(":scope > .wb-empty")?.remove();
    if (isAtEnd) box.scrollTop = box.scrollHeight;
  }

  // Notices: what Python says, what is asked for, and whether Python says anything at all.

  press(action, label) {
    this.presses += 1;
    for (const [number, one] of this.pressed) if (one.done) this.pressed.delete(number);
    this.pressed.set(this.presses, { label, at: performance.now() });
    this.send("press", { action, number: this.presses });
    this.watch();
  }

  takeReply({ number, text, tone }) {
    const pressed = this.pressed.get(number);
    if (!pressed) return;
    if (text) Object.assign(pressed, { done: true, text, tone, until: performance.now() + 8000 });
    else this.pressed.delete(number);
    this.watch();
  }

  watch() {
    if (!this.parts || this.isGone) return;
    const now = performance.now();
    const shown = [...(this.notices || [])];
    if (this.failure) shown.push(["failed", "bad", this.failure]);
    for (const [number, one] of this.pressed) {
      if (one.done && one.tone !== "bad" && now > one.until) this.pressed.delete(number);
      else if (one.done) shown.push([`press-${number}`, one.tone, one.text]);
      else if (now - one.at > UNREAD_AFTER_MS) {
        const seconds = ((now - one.at) / 1000).toFixed(0);
        const text = `${one.label}: asked ${seconds} s ago. The kernel has not answered yet; where a cell is running, interrupt it (■) to let this through.`;
        shown.push([`press-${number}`, "warn", text]);
      }
    }
    const silent = now - this.last;
    if (this.isClosed) {
      shown.push(["closed", "plain", CLOSED]);
    } else if (silent > SILENT_AFTER_MS && !this.isLast && !document.hidden) {
      const text = `No news from the kernel for ${(silent / 1000).toFixed(0)} s: what is shown here is old. After a restart of the kernel the node is gone; run its cells again.`;
      shown.push(["silent", "warn", text]);
    }
    this.root.classList.toggle("wb-old", Boolean(this.isClosed) || (silent > SILENT_AFTER_MS && !this.isLast));
    this.showNotices(shown);
  }

  showNotices(shown) {
    const box = this.parts.notices;
    while (box.childElementCount > shown.length) box.lastChild.remove();
    shown.forEach(([name, tone, text], index) => {
      const line = box.children[index] || part("div", "", "", box);
      line.dataset.wb = `notice-${name}`;
      setClass(line, `wb-notice wb-${tone}`);
      line.setAttribute("role", tone === "bad" ? "alert" : "status");
      setText(line, text);
    });
  }

  paint() {
    for (const chart of [this.price, this.profit, this.stall]) chart?.paint();
  }

  close() {
    this.isClosed = true;
    if (!this.parts) setText(this.waiting, CLOSED);
    for (const button of this.root.querySelectorAll(".wb-button, .wb-close")) button.disabled = true;
    this.watch();
  }

  remove() {
    this.isGone = true;
    if (!this.isClosed) this.send("bye");
    for (const undo of this.undo) undo();
    for (const chart of [this.price, this.profit, this.stall]) chart?.remove();
  }
}

function render({ model, el }) {
  const view = new DashboardView(model, el);
  return () => view.remove();
}

export default { render };
