"use strict";
// Draws the charts in the page's own colours, and sorts tables.
(() => {
  const series = Array.from({ length: 10 }, (_, number) => `var(--series-${number + 1})`);
  const text = { labelColor: "var(--soft)", titleColor: "var(--ink)", labelFontSize: 12, titleFontSize: 13, titleFontWeight: 500 };
  const config = {
    background: "transparent",
    font: getComputedStyle(document.body).fontFamily,
    view: { stroke: "var(--line)" },
    axis: { ...text, gridColor: "var(--line)", gridOpacity: 0.6, domainColor: "var(--soft)", tickColor: "var(--soft)" },
    legend: { ...text, symbolStrokeWidth: 2, labelLimit: 260, orient: "top", direction: "horizontal" },
    header: text,
    title: { color: "var(--ink)", subtitleColor: "var(--soft)", fontSize: 13, anchor: "start" },
    range: { category: series },
    mark: { color: series[0] },
    text: { color: "var(--ink)" },
    rule: { color: "var(--ink)" },
  };
  // `ast`: expressions are interpreted, so that the page's policy need not allow the making of code
  const options = { actions: false, renderer: "svg", ast: true, config };
  window.hepfilter = { charts: new Map() };

  // several views: in columns where these have room, else one below the other
  function fit(specification, room) {
    const { concat: views, columns } = specification;
    const rules = specification.usermeta.fit;
    const needed = (first) => views.slice(first, first + columns)
      .reduce((sum, view, number) => sum + view.width + rules[first + number].margin, 0);
    if (views.every((_, first) => first % columns || needed(first) <= room)) return;
    specification.columns = 1;
    delete specification.config?.legend;
    views.forEach((view, number) => {
      view.width = Math.max(120, Math.min(view.width, room - rules[number].margin));
      if (rules[number].ratio) view.height = Math.round(view.width * rules[number].ratio);
    });
  }

  function draw(figure) {
    const place = figure.querySelector(".chart");
    const specification = JSON.parse(figure.querySelector("script.specification").textContent);
    if (specification.concat) fit(specification, place.clientWidth);
    const columns = Math.max(1, Math.floor(place.clientWidth / 175));
    const legend = { ...config.legend, columns, labelLimit: Math.floor(place.clientWidth / columns) - 45 };
    const drawn = vegaEmbed(place, specification, { ...options, config: { ...config, legend } });
    window.hepfilter.charts.set(place, drawn);
    drawn.then(() => place.dispatchEvent(new Event("drawn")));
    drawn.catch((error) => { place.textContent = `This chart cannot be drawn: ${error.message}`; });
  }

  // a chart that nobody has scrolled to costs nothing; on paper all are there
  const waiting = new Set();
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) start(entry.target);
  }, { rootMargin: "600px" });
  function start(figure) {
    if (!waiting.delete(figure)) return;
    seen.unobserve(figure);
    draw(figure);
  }
  for (const specification of document.querySelectorAll("script.specification")) {
    waiting.add(specification.parentElement);
    seen.observe(specification.parentElement);
  }
  window.addEventListener("beforeprint", () => waiting.forEach(start));

  // a column of numbers may lack some: they come last where it falls
  function key(row, column, numeric) {
    const cell = row.children[column];
    if (cell.dataset.order !== undefined) return Number(cell.dataset.order);
    return numeric ? -Number.MAX_VALUE : cell.textContent;
  }
  function sort(table, column, head) {
    const rising = head.getAttribute("aria-sort") === "descending";
    for (const other of table.querySelectorAll("thead th")) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", rising ? "ascending" : "descending");
    const body = table.tBodies[0];
    const numeric = [...body.rows].some((row) => row.children[column].dataset.order !== undefined);
    const rows = [...body.rows].sort((a, b) => {
      const [first, second] = [key(a, column, numeric), key(b, column, numeric)];
      const order = numeric ? first - second : first.localeCompare(second, undefined, { numeric: true });
      return rising ? order : -order;
    });
    body.append(...rows);
  }
  for (const table of document.querySelectorAll("table.sortable")) {
    table.querySelectorAll("thead th").forEach((head, column) => {
      head.querySelector("button").addEventListener("click", () => sort(table, column, head));
    });
  }
})();
