"use strict";
// The threshold explorer: looks up in a table what a threshold keeps; nothing is computed here but what is shown.
(() => {
  const digits = (value, count) => (value === null ? "–" : String(Number(value.toPrecision(count))));
  const small = (value) => (value < 1e-3 ? value.toExponential(2) : digits(value, 3));
  const whole = (value) => value.toLocaleString("en-US");

  function share(row, stop) {
    if (row.share[stop] === null) return "–";
    const [value, lower, upper] = [row.share[stop], row.lower[stop], row.upper[stop]].map((one) => digits(100 * one, 3));
    return `${value} [${lower}, ${upper}]`;
  }

  function explore(place) {
    const scan = JSON.parse(place.querySelector("script.scan").textContent);
    const slider = place.querySelector("input[type=range]");
    const field = place.querySelector("input[type=number]");
    const said = place.querySelector("output");
    const rows = [...place.querySelectorAll("tbody tr")];
    const chart = place.parentElement.querySelector(".chart");

    function nearest(value) {
      let best = 0;
      scan.thresholds.forEach((one, stop) => {
        if (Math.abs(one - value) < Math.abs(scan.thresholds[best] - value)) best = stop;
      });
      return best;
    }

    function show(stop, typing = false) {
      const threshold = scan.thresholds[stop];
      slider.value = stop;
      if (!typing) field.value = digits(threshold, 6);
      rows.forEach((row, number) => {
        const sample = scan.rows[number];
        const cells = row.querySelectorAll("td");
        cells[1].textContent = whole(sample.events[stop]);
        cells[2].textContent = share(sample, stop);
        cells[3].textContent = sample.weight === null ? "–" : digits(sample.weight[stop], scan.digits);
      });
      const p = scan.is_p ? ` (p ≤ ${small(Math.exp(-threshold))})` : "";
      const all = scan.rows[0];
      const text = `${scan.name} ≥ ${digits(threshold, 6)}${p} keeps ${whole(all.events[stop])} events, ${digits(100 * all.share[stop], 3)} %`;
      said.textContent = text;
      slider.setAttribute("aria-valuetext", text);
      const drawn = window.hepfilter.charts.get(chart);
      if (drawn) drawn.then((made) => made.view.signal("threshold", threshold).runAsync());
    }

    slider.addEventListener("input", () => show(Number(slider.value)));
    field.addEventListener("input", () => { if (field.value !== "") show(nearest(Number(field.value)), true); });
    field.addEventListener("change", () => show(Number(slider.value)));
    chart.addEventListener("drawn", () => show(Number(slider.value)));
    for (const button of place.querySelectorAll("button[data-threshold]")) {
      button.addEventListener("click", () => show(nearest(Number(button.dataset.threshold))));
    }
    show(scan.start);
  }

  document.querySelectorAll(".explorer").forEach(explore);
})();
