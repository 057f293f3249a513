// A small picture under a matrix: its samples sent to where they go, and the output's samples read where they come from.

import { digits, label, stage, svg } from "./stage.mjs";
import { forward, reverse } from "./numerics.mjs";

// A face, in ninths of white.
const PICTURE = [
  "333333333333",
  "333788887333",
  "338999999833",
  "379999999973",
  "389119911983",
  "389119911983",
  "389999999983",
  "388199991883",
  "377811118773",
  "336788887633",
  "333667766333",
  "333333333333",
].map((row) => [...row].map((ninths) => Number(ninths) / 9));
const SIDE = 18; // samples of the output

export function mount(place) {
  const state = { angle: 25, scale: 1, picture: PICTURE, side: SIDE };
  const below = 78; // a matrix
  let size, spots;

  function layout(width) {
    const wide = width >= 520;
    size = Math.floor(wide ? Math.min((width - 32) / 2, 300) : Math.min(width, 250)) / SIDE;
    const tall = 28 + SIDE * size + below;
    const left = (width - (wide ? 2 * SIDE * size + 32 : SIDE * size)) / 2;
    spots = [[left, 28], wide ? [left + SIDE * size + 32, 28] : [left, tall + 14 + 28]];
    return wide ? tall : 2 * tall + 14;
  }

  /** The matrix of (y, x), and its inverse. A positive angle takes the x axis towards the y axis, as in the library. */
  function matrices() {
    const turn = (state.angle * Math.PI) / 180;
    const [c, s] = [Math.cos(turn), Math.sin(turn)];
    const { scale } = state;
    return [
      [[scale * c, scale * s], [-scale * s, scale * c]],
      [[c / scale, -s / scale], [s / scale, c / scale]],
    ];
  }

  function draw(layer) {
    const [matrix, inverse] = matrices();
    const { values, counts, holes } = forward(PICTURE, matrix, inverse, SIDE);
    const read = reverse(PICTURE, inverse, SIDE);
    Object.assign(state, {
      matrix,
      inverse,
      forward: values,
      reverse: read.map((row) => row.map(({ value }) => value)),
      holes: holes.flat().filter(Boolean).length,
      overlaps: counts.flat().filter((count) => count > 1).length,
    });
    paint(sent, spots[0], values.flat().map((value) => [value ?? 0, value === null ? 0 : 1]));
    // At the rim a value is mixed with nothing: shown as grey that lets the paper through.
    paint(fetched, spots[1], read.flat().map(({ value, coverage }) => [coverage ? value / coverage : 0, coverage]));

    spots.forEach(([x, y], k) => {
      const [middle, bottom] = [x + (SIDE * size) / 2, y + SIDE * size];
      layer.append(svg("rect", { x, y, width: SIDE * size, height: SIDE * size, class: "grid" }));
      layer.append(label(middle, y - 11, k ? "reverse: each output sample is read" : "forward: each input sample is sent", "middle quiet"));
      drawMatrix(layer, middle - 70, bottom + 38, k ? "A⁻¹ =" : "A =", k ? inverse : matrix);
      if (k) {
        layer.append(label(middle + 62, bottom + 43, "no holes"));
      } else {
        layer.append(label(middle + 62, bottom + 33, `${state.holes} ${state.holes === 1 ? "hole" : "holes"}`, "of-result"));
        layer.append(label(middle + 62, bottom + 53, `${state.overlaps} ${state.overlaps === 1 ? "overlap" : "overlaps"}`, "of-c"));
      }
    });
    const [x, y] = spots[0];
    const box = (i, j) => ({ x: x + size * j, y: y + size * i, width: size, height: size });
    holes.forEach((row, i) => row.forEach((isHole, j) => isHole && layer.append(svg("rect", { ...box(i, j), class: "hole" }))));
    counts.forEach((row, i) =>
      row.forEach((count, j) => {
        const [cx, cy] = [x + size * (j + 0.5), y + size * (i + 0.5)];
        if (count > 1) layer.append(svg("circle", { cx, cy, r: size / 4, class: "overlap" }));
      }),
    );
  }

  function paint(surface, [x, y], samples) {
    surface.put(x, y, SIDE * size, SIDE * size);
    samples.forEach(([grey, opacity], k) => pixels.set([255 * grey, 255 * grey, 255 * grey, 255 * opacity], 4 * k));
    surface.paint(pixels);
  }

  const { redraw, slider, surface } = stage(place, { height: layout, draw, state });
  const pixels = new Uint8ClampedArray(4 * SIDE * SIDE);
  const [sent, fetched] = [surface(SIDE, SIDE), surface(SIDE, SIDE)];
  for (const { canvas } of [sent, fetched]) canvas.classList.add("touch-raster");
  slider("angle", { label: "angle", min: -180, max: 180, step: 1, show: (value) => `${digits(value, 0)}°` });
  slider("scale", { label: "scale", min: 0.5, max: 2, step: 0.05 });
  redraw();
}

/** A matrix of two rows around y, after its name, in brackets. */
function drawMatrix(layer, x, y, name, rows) {
  layer.append(label(x - 12, y + 5, name, "end"));
  const wide = 112;
  for (const [from, into] of [[x, 5], [x + wide, -5]]) {
    layer.append(svg("path", { d: `M${from + into} ${y - 24}h${-into}v48h${into}`, class: "bracket" }));
  }
  rows.forEach((row, i) => row.forEach((value, j) => layer.append(label(x + 50 + 54 * j, y - 5 + 20 * i, digits(value), "end"))));
}
