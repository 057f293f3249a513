// A point among samples in two dimensions: each neighbour weighs as much as the area of the rectangle opposite to it.

import { clamp, digits, label, line, stage, svg } from "./stage.mjs";
import { bilinear } from "./numerics.mjs";

export const SAMPLES = [
  [1, 4, 3, 6, 2],
  [3, 7, 2, 5, 8],
  [6, 5, 9, 1, 4],
  [2, 8, 4, 7, 3],
];
export const KINDS = ["of-a", "of-b", "of-c", "of-d"];

export function mount(place) {
  const state = { y: 1.4, x: 1.3, samples: SAMPLES };
  const [down, right] = [SAMPLES.length - 1, SAMPLES[0].length - 1];
  const table = { width: 244, height: 176 };
  let pitch, wide, start;

  /** The grid, and the sums beside it, or below where there is no room. */
  function layout(width) {
    wide = width >= 560;
    pitch = clamp((width - 44 - (wide ? table.width + 24 : 0)) / right, 40, 88);
    start = [22, wide ? 22 : 22 + Math.max(0, width - 44 - right * pitch) / 2];
    const tall = 44 + down * pitch;
    return wide ? Math.max(tall, table.height + 20) : tall + 20 + table.height;
  }
  const at = (y, x) => [start[1] + pitch * x, start[0] + pitch * y];

  function draw(layer, width, height) {
    const { y, x } = state;
    const { top, left, corners, areas, value } = bilinear(SAMPLES, y, x);
    const products = areas.map((area, k) => area * corners[k]);
    const sums = products.map((_, k) => products.slice(0, k + 1).reduce((sum, product) => sum + product, 0));
    Object.assign(state, { top, left, corners, areas, products, sums, value });

    for (let i = 0; i <= down; i++) layer.append(line(...at(i, 0), ...at(i, right), "grid"));
    for (let j = 0; j <= right; j++) layer.append(line(...at(0, j), ...at(down, j), "grid"));
    // The rectangle at each corner has the colour of the opposite one, whose weight its area is.
    [[top, left], [top, left + 1], [top + 1, left], [top + 1, left + 1]].forEach(([i, j], k) => {
      const [[x0, y0], [x1, y1]] = [at(i, j), at(y, x)];
      const box = { x: Math.min(x0, x1), y: Math.min(y0, y1), width: Math.abs(x1 - x0), height: Math.abs(y1 - y0) };
      layer.append(svg("rect", { ...box, class: `piece ${KINDS[3 - k]}` }));
    });
    SAMPLES.forEach((row, i) =>
      row.forEach((sample, j) => {
        const [cx, cy] = at(i, j);
        const isCorner = [top, top + 1].includes(i) && [left, left + 1].includes(j);
        const ring = isCorner ? `ring ${KINDS[2 * (i - top) + j - left]}` : "";
        layer.append(svg("circle", { cx, cy, r: 13, class: `sample ${ring}`, style: `--grey: ${5 * sample}%` }));
        layer.append(label(cx, cy + 5, `${sample}`, "middle"));
      }),
    );
    const gap = wide ? start[1] + right * pitch + 22 : 0;
    const middle = gap + (width - gap - table.width) / 2;
    sum(layer, middle, wide ? (height - table.height) / 2 : height - table.height);
  }

  /** The four terms, with the sum so far. */
  function sum(layer, x, y) {
    const columns = { area: 76, sample: 130, product: 190, sum: 240 };
    for (const [name, end] of Object.entries(columns)) layer.append(label(x + end, y + 14, name, "end quiet small"));
    state.corners.forEach((corner, k) => {
      const base = y + 40 + 26 * k;
      layer.append(svg("rect", { x, y: base - 13, width: 16, height: 16, rx: 3, class: `${KINDS[k]}` }));
      layer.append(label(x + 24, base, "abcd"[k], KINDS[k]));
      layer.append(label(x + columns.area, base, digits(state.areas[k]), "end"));
      layer.append(label(x + 100, base, "×", "middle quiet"));
      layer.append(label(x + columns.sample, base, `${corner}`, "end"));
      layer.append(label(x + 143, base, "=", "middle quiet"));
      layer.append(label(x + columns.product, base, digits(state.products[k]), "end"));
      layer.append(label(x + columns.sum, base, digits(state.sums[k]), "end quiet"));
    });
    const base = y + 40 + 26 * 4 + 4;
    layer.append(line(x, base - 20, x + columns.sum, base - 20, "grid"));
    layer.append(label(x, base, `f(${digits(state.y, 1)}, ${digits(state.x, 1)}) =`));
    layer.append(label(x + columns.sum, base, digits(state.value), "end strong-text of-result"));
  }

  // Steps of a tenth: then all numbers are exact with the two digits that are shown.
  const set = (y, x) => {
    state.y = clamp(Math.round(10 * y) / 10, 0, down);
    state.x = clamp(Math.round(10 * x) / 10, 0, right);
  };
  const { handle, redraw } = stage(place, { height: layout, draw, state });
  handle({
    label: "sample point",
    at: () => at(state.y, state.x),
    move: (px, py) => set((py - start[0]) / pitch, (px - start[1]) / pitch),
    nudge: (dx, dy) => set(state.y + 0.1 * dy, state.x + 0.1 * dx),
    say: () => `y = ${digits(state.y, 1)}, x = ${digits(state.x, 1)}, value ${digits(state.value)}`,
  });
  redraw();
}
