// Charts: figures that Python described, embedded once and then fed.

// BokehJS by version: one for all dashboards of a page, whatever else the page has loaded.
const bokehs = (window.__workbenchBokehs = window.__workbenchBokehs || {});

function loadBokeh(version, source) {
  if (!bokehs[version]) {
    const before = window.Bokeh;
    const script = document.createElement("script");
    script.textContent = source;
    document.head.appendChild(script).remove();
    bokehs[version] = window.Bokeh;
    window.Bokeh.set_log_level("warn");
    if (before) window.Bokeh = before;
  }
  return bokehs[version];
}

function findBokeh(version) {
  if (window.Bokeh && window.Bokeh.version === version) bokehs[version] = window.Bokeh;
  return bokehs[version];
}

function colour(element, name, fallback) {
  return getComputedStyle(element).getPropertyValue(name).trim() || fallback;
}

class Chart {
  constructor(parent, name, dashboard) {
    this.element = part("div", "wb-chart", `chart-${name}`, parent);
    this.name = name;
    this.dashboard = dashboard;
    this.pending = {};
    // BokehJS can only embed in what is on the page, and should only in what has a size.
    this.seen = new ResizeObserver(() => this.embed());
    this.seen.observe(this.element);
  }

  async embed() {
    if (this.begun || !this.element.isConnected || !this.element.clientWidth) return;
    this.begun = true;
    this.seen.disconnect();
    const { api, items } = await this.dashboard.needCharts();
    if (!this.element.isConnected) return this.later();
    this.api = api;
    const item = items[this.name];
    let views;
    try {
      views = await api.embed.embed_item(item, this.element);
    } catch (error) {
      if (this.element.isConnected) throw error;
      return this.later();
    }
    if (this.dashboard.isGone) return;
    this.view = views.get_by_id(item.root_id);
    this.figure = this.view.model;
    this.document = this.figure.document;
    this.paint();
    for (const [source, data] of Object.entries(this.pending)) this.set(source, data);
    this.pending = {};
    if (this.span) this.window(...this.span);
  }

  // It was taken off the page meanwhile, by a close or by a cell out of sight: when it is back.
  later() {
    this.begun = false;
    if (!this.dashboard.isGone) this.seen.observe(this.element);
  }

  source(name) {
    return this.document.get_model_by_name(name);
  }

  set(name, data) {
    if (this.document) this.source(name).data = data;
    else this.pending[name] = data;
  }

  // Until it is embedded there is nothing to add to: then it takes all of the window at once.
  stream(name, data, most, all) {
    if (this.document) this.source(name).stream(data, most);
    else this.pending[name] = all();
  }

  window(start, end) {
    this.span = [start, end];
    if (this.document && end > start) this.figure.x_range.setv({ start, end });
  }

  paint() {
    if (!this.document) return;
    const at = this.dashboard.root;
    const ink = colour(at, "--wb-ink", "#333");
    const quiet = colour(at, "--wb-quiet", "#777");
    const line = colour(at, "--wb-line", "#ddd");
    const paper = colour(at, "--wb-paper", "#fff");
    const figure = this.figure;
    figure.setv({ background_fill_color: paper, border_fill_color: paper, outline_line_color: null });
    for (const axis of [...figure.below, ...figure.left].filter((one) => "axis_line_color" in one)) {
      axis.setv({
        axis_line_color: line,
        major_tick_line_color: line,
        minor_tick_line_color: null,
        major_label_text_color: quiet,
        axis_label_text_color: quiet,
      });
    }
    for (const grid of figure.center.filter((one) => "grid_line_color" in one)) {
      grid.grid_line_color = line;
    }
    const tones = { ink, main: colour(at, "--wb-main", "#1976d2"), up: colour(at, "--wb-up", "#1b7f3b") };
    tones.down = colour(at, "--wb-down", "#c62828");
    tones.warn = colour(at, "--wb-warn", "#b26a00");
    tones.quiet = quiet;
    for (const renderer of figure.renderers) {
      const tone = tones[renderer.tags[0]];
      const glyph = renderer.glyph;
      if (!tone) continue;
      if ("fill_color" in glyph) glyph.fill_color = tone;
      if ("line_color" in glyph) glyph.line_color = renderer.tags[1] === "ringed" ? paper : tone;
    }
  }

  remove() {
    this.seen.disconnect();
    if (!this.document) return;
    this.view.remove();
    const all = this.api.documents;
    const index = all.indexOf(this.document);
    if (index >= 0) all.splice(index, 1);
    this.document.clear();
  }
}

function columns(names, rows) {
  return Object.fromEntries(names.map((name, index) => [name, rows.map((row) => row[index])]));
}
