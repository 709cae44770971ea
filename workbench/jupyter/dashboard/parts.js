// What the dashboard's view is put together from: elements, tables, spark lines.
//
// One module with charts.js and dashboard.js, which follow it.

const SPARK_POINTS = 120;

function make(tag, name, parent, text) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  if (text !== undefined) element.textContent = text;
  if (parent) parent.appendChild(element);
  return element;
}

function part(tag, name, id, parent, text) {
  const element = make(tag, name, parent, text);
  element.dataset.wb = id;
  return element;
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function setClass(element, name) {
  if (element.className !== name) element.className = name;
}

function setHidden(element, isHidden) {
  if (element.hidden !== isHidden) element.hidden = isHidden;
}

class Table {
  constructor(parent, name, described) {
    this.columns = described.columns;
    const box = make("div", "wb-table-box", parent);
    const table = (this.table = part("table", "wb-table", `table-${name}`, box));
    const head = make("tr", "", make("thead", "", table));
    for (const [title, kind, help] of this.columns) {
      const cell = make("th", `wb-${kind}`, head, title);
      cell.scope = "col";
      if (help) cell.title = help;
    }
    this.body = make("tbody", "", table);
    this.empty = make("div", "wb-empty", box, described.empty);
    this.sparks = [];
  }

  // Rows are [key, tone, cells]; a row that is there already is changed in place.
  show(rows) {
    setHidden(this.empty, rows.length > 0);
    setHidden(this.table, rows.length === 0);
    while (this.body.rows.length > rows.length) this.body.deleteRow(-1);
    rows.forEach((row, index) => this.showRow(this.body.rows[index] || this.addRow(), row));
  }

  addRow() {
    const row = make("tr", "", this.body);
    for (const [title, kind] of this.columns) {
      const cell = make("td", `wb-${kind}`, row);
      cell.dataset.column = title;
      if (kind === "spark") this.sparks.push(makeSpark(cell));
    }
    return row;
  }

  showRow(row, [key, tone, cells]) {
    if (row.dataset.key !== key) row.dataset.key = key;
    setClass(row, tone ? `wb-${tone}` : "");
    cells.forEach((text, index) => {
      const kind = this.columns[index][1];
      const cell = row.cells[index];
      if (kind === "spark") cell.firstChild.dataset.series = text;
      else {
        setText(cell, text);
        if (kind === "long" && cell.title !== text) cell.title = text;
        if (kind === "signed") {
          const sign = text.startsWith("+") ? " wb-up" : text.startsWith("−") ? " wb-down" : "";
          setClass(cell, `wb-signed${sign}`);
        }
      }
    });
  }
}

const SVG = "http://www.w3.org/2000/svg";

function makeSpark(parent) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 120 20");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("class", "wb-sparkline");
  svg.setAttribute("aria-hidden", "true");
  svg.appendChild(document.createElementNS(SVG, "path"));
  parent.appendChild(svg);
  return svg;
}

function drawSpark(svg, points, series) {
  const most = points.reduce((high, point) => Math.max(high, point[1][series] || 0), 0);
  const offset = SPARK_POINTS - points.length;
  let line = "";
  points.forEach(([, values], index) => {
    const y = most ? 18 - (16 * (values[series] || 0)) / most : 18;
    line += `${line ? "L" : "M"}${offset + index} ${y.toFixed(1)}`;
  });
  const path = svg.firstChild;
  if (path.getAttribute("d") !== line) path.setAttribute("d", line);
}
