// The library's numbers, in JavaScript. The browser tests hold them against the library.

/** Weights of the two neighbours of x: the left one's index, and the weights, each the distance to the other. */
export function neighbours(x) {
  const left = Math.floor(x);
  return { left, weights: [left + 1 - x, x - left] };
}

/** The value of a sequence at x by linear interpolation; beyond its ends, zero. */
export function linear(values, x) {
  const { left, weights } = neighbours(x);
  return weights[0] * (values[left] ?? 0) + weights[1] * (values[left + 1] ?? 0);
}

/**
 * Bilinear interpolation at (y, x), inside the samples: the cell's first corner (top, left), its four corners' samples and
 * their areas, row by row, and the value. A corner's area is that of the rectangle at the opposite corner. On the last
 * row or column the cell is the last one: the corners that differ weigh nothing.
 */
export function bilinear(rows, y, x) {
  const top = Math.min(Math.floor(y), rows.length - 2);
  const left = Math.min(Math.floor(x), rows[0].length - 2);
  const [ty, tx] = [y - top, x - left];
  const corners = [0, 1].flatMap((i) => [0, 1].map((j) => rows[top + i][left + j]));
  const areas = [(1 - ty) * (1 - tx), (1 - ty) * tx, ty * (1 - tx), ty * tx];
  const value = corners.reduce((sum, corner, k) => sum + areas[k] * corner, 0);
  return { top, left, ty, tx, corners, areas, value };
}

/** The sample at (row, column); beyond the last, zero. */
const at = (rows, i, j) => rows[i]?.[j] ?? 0;

/** Bilinear interpolation anywhere, zero beyond the samples: the value, and how much of the weights fell on samples. */
export function read(rows, y, x) {
  const [i, j] = [neighbours(y), neighbours(x)];
  const within = (k, count) => k >= 0 && k < count;
  const found = { value: 0, coverage: 0 };
  for (const p of [0, 1]) {
    for (const q of [0, 1]) {
      const weight = i.weights[p] * j.weights[q];
      found.value += weight * at(rows, i.left + p, j.left + q);
      if (within(i.left + p, rows.length) && within(j.left + q, rows[0].length)) found.coverage += weight;
    }
  }
  return found;
}

/** The point `matrix` takes a point to, both measured from the middles of lattices of `from` and `to` samples a side. */
function across([[a, b], [c, d]], y, x, from, to) {
  const [dy, dx] = [y - (from - 1) / 2, x - (from - 1) / 2];
  return [(to - 1) / 2 + a * dy + b * dx, (to - 1) / 2 + c * dy + d * dx];
}

const table = (side, fill) => Array.from({ length: side }, (_, i) => Array.from({ length: side }, (_, j) => fill(i, j)));

/**
 * Forward mapping of a square image: each sample is sent to the nearest sample of the output, the last that comes there
 * stays. Returns the values (null where nothing came), how many came to each, and the holes: samples of the output that lie
 * inside the picture, and that none came to.
 */
export function forward(rows, matrix, inverse, side) {
  const values = table(side, () => null);
  const counts = table(side, () => 0);
  rows.forEach((row, y) =>
    row.forEach((value, x) => {
      // Half-way goes up, whatever the last digit of a cosine.
      const [i, j] = across(matrix, y, x, rows.length, side).map((p) => Math.floor(p + 0.5 + 1e-9));
      if (counts[i]?.[j] === undefined) return;
      values[i][j] = value;
      counts[i][j] += 1;
    }),
  );
  const inside = (p) => p >= 0 && p <= rows.length - 1;
  const holes = table(side, (i, j) => !counts[i][j] && across(inverse, i, j, side, rows.length).every(inside));
  return { values, counts, holes };
}

/** Reverse mapping: each sample of the output is read, bilinearly, where `inverse` says that it comes from. */
export function reverse(rows, inverse, side) {
  return table(side, (i, j) => read(rows, ...across(inverse, i, j, side, rows.length)));
}

/** The weights of samples at a signed distance from the point, x - k: the kernels, by the library's names. */
export const KERNELS = {
  nearest: { reach: 0.5, weight: (s) => (s >= -0.5 && s < 0.5 ? 1 : 0) },
  linear: { reach: 1, weight: (s) => Math.max(0, 1 - Math.abs(s)) },
  cubic: { reach: 2, weight: keys },
  mitchell: { reach: 2, weight: (s) => (bspline(s) + 2 * keys(s)) / 3 },
  lanczos3: { reach: 3, weight: lanczos },
  bspline3: { reach: 2, weight: bspline },
  spline3: { reach: Infinity, weight: cardinal },
};

/** Keys 1981, a = -1/2. */
function keys(s) {
  const u = Math.abs(s);
  if (u < 1) return (1.5 * u - 2.5) * u * u + 1;
  return u < 2 ? ((-0.5 * u + 2.5) * u - 4) * u + 2 : 0;
}

/** The cubic B-spline. */
function bspline(s) {
  const u = Math.abs(s);
  if (u < 1) return 2 / 3 - u * u * (1 - u / 2);
  return u < 2 ? (2 - u) ** 3 / 6 : 0;
}

const sinc = (s) => (s === 0 ? 1 : Math.sin(Math.PI * s) / (Math.PI * s));

/** The windowed sinc of three lobes, divided by the sum of the weights of a point. */
function lanczos(s) {
  const raw = (u) => (Math.abs(u) < 3 ? sinc(u) * sinc(u / 3) : 0);
  const fraction = s - Math.floor(s);
  let sum = 0;
  for (let k = -3; k <= 3; k++) sum += raw(fraction + k);
  return raw(s) / sum;
}

/** The cubic spline through a single one among zeros: B-splines, weighted by what the prefilter makes of that one. */
function cardinal(s) {
  const pole = Math.sqrt(3) - 2;
  const middle = Math.floor(s);
  let sum = 0;
  for (let k = middle - 1; k <= middle + 2; k++) sum += Math.sqrt(3) * pole ** Math.abs(k) * bspline(s - k);
  return sum;
}

/** The frequency response of a kernel: its Fourier transform, at a frequency in cycles a sample. */
export function response(name, frequency) {
  // What the prefilter does to a frequency is known; the B-spline's part is integrated as that of every other kernel.
  if (name === "spline3") return response("bspline3", frequency) / ((2 + Math.cos(2 * Math.PI * frequency)) / 3);
  const { reach, weight } = KERNELS[name];
  const half = 1 / 32; // of the pieces, each integrated by the rule of Gauss with three nodes
  let sum = 0;
  for (let middle = half; middle < reach; middle += 2 * half) {
    for (const [node, part] of [[-Math.sqrt(0.6), 5], [0, 8], [Math.sqrt(0.6), 5]]) {
      const s = middle + half * node;
      sum += (part / 9) * half * weight(s) * Math.cos(2 * Math.PI * frequency * s);
    }
  }
  return 2 * sum; // kernels are symmetric
}
