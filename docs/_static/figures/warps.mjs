// Transforms and what is read through them, with the library's numbers. Points are (y, x), in the frame "centered": the
// origin is the middle of the picture, the unit half of its shortest side. A transform maps a point of the output to the
// point of the input that is read there.

/** The frame "centered" of a lattice, from samples to units and back. */
export function centered(height, width) {
  const unit = Math.max(Math.min(height, width), 1) / 2;
  const middle = [(height - 1) / 2, (width - 1) / 2];
  return {
    unit,
    middle,
    toUnits: (index) => index.map((k, axis) => (k - middle[axis]) / unit),
    toIndex: (point) => point.map((c, axis) => middle[axis] + unit * c),
  };
}

/** The solution of `matrix` times it = `right`, both given in rows: elimination with pivots. */
export function solve(matrix, right) {
  const rows = matrix.map((row, k) => [...row, ...right[k]]);
  const n = rows.length;
  for (let k = 0; k < n; k++) {
    let pivot = k;
    for (let i = k + 1; i < n; i++) if (Math.abs(rows[i][k]) > Math.abs(rows[pivot][k])) pivot = i;
    [rows[k], rows[pivot]] = [rows[pivot], rows[k]];
    for (let i = 0; i < n; i++) {
      const factor = rows[i][k] / rows[k][k];
      if (i !== k && factor !== 0) for (let j = k; j < rows[i].length; j++) rows[i][j] -= factor * rows[k][j];
    }
  }
  return rows.map((row, k) => row.slice(n).map((value) => value / row[k]));
}

/** The map of a matrix [A | t], q = A p + t. */
export const affine = (matrix) => (p) => matrix.map(([a, b, t]) => a * p[0] + b * p[1] + t);

/** The map of a matrix [[A, t], [c, w]], q = (A p + t) / (c . p + w); beyond the horizon, as in a
 * library's map with one side, NaN. */
export function projective(matrix) {
  const rows = affine(matrix);
  return (p) => {
    const [y, x, w] = rows(p);
    return w > 0 ? [y / w, x / w] : [NaN, NaN];
  };
}

/** The matrix of the projective map that takes four points to four points; its last entry is 1. */
export function projectiveThrough(source, target) {
  const equations = [];
  const values = [];
  source.forEach(([y, x], k) => {
    target[k].forEach((goal, axis) => {
      const own = [y, x, 1];
      const none = [0, 0, 0];
      equations.push([...(axis ? none : own), ...(axis ? own : none), -goal * y, -goal * x]);
      values.push([goal]);
    });
  });
  const [a, b, c, d, e, f, g, h] = solve(equations, values).flat();
  return [[a, b, c], [d, e, f], [g, h, 1]];
}

const kernel = (squared) => (squared > 0 ? squared * Math.log(squared) : 0);
const squaredDistance = (p, q) => (p[0] - q[0]) ** 2 + (p[1] - q[1]) ** 2;

/**
 * The thin-plate splines of some control points. `basis(p)` tells what each target adds at a point; `map(targets)` is the
 * transform, `energy(targets)` how much it bends.
 */
export function thinPlateSpline(controls) {
  const count = controls.length;
  const center = [0, 1].map((axis) => controls.reduce((sum, p) => sum + p[axis], 0) / count);
  const unit = Math.sqrt(controls.reduce((sum, p) => sum + squaredDistance(p, center), 0) / count);
  const near = (p) => [(p[0] - center[0]) / unit, (p[1] - center[1]) / unit];
  const nodes = controls.map(near);
  const features = (p) => [...nodes.map((node) => kernel(squaredDistance(p, node))), 1, ...p];

  const matrix = nodes.map(features);
  for (let k = 0; k < 3; k++) matrix.push([...nodes.map((node) => [1, ...node][k]), 0, 0, 0]);
  // From values at the control points to the weights of the features.
  const weights = solve(matrix, matrix.map((_, i) => nodes.map((_, j) => Number(i === j))));

  const basis = (p) => {
    const row = features(near(p));
    return nodes.map((_, j) => row.reduce((sum, feature, i) => sum + feature * weights[i][j], 0));
  };
  /** The point, moved by what the shifts of the targets add there. */
  const move = (p, row, shifts) => p.map((c, axis) => row.reduce((sum, b, j) => sum + b * shifts[j][axis], c));
  const shiftsOf = (targets) => targets.map((target, j) => [target[0] - controls[j][0], target[1] - controls[j][1]]);

  return {
    basis,
    move,
    shiftsOf,
    map: (targets) => {
      const shifts = shiftsOf(targets);
      return (p) => move(p, basis(p), shifts);
    },
    energy: (targets) => {
      const shifts = shiftsOf(targets);
      let sum = 0;
      for (const axis of [0, 1]) {
        const w = nodes.map((_, i) => shifts.reduce((total, shift, j) => total + weights[i][j] * shift[axis], 0));
        w.forEach((wi, i) => w.forEach((wk, k) => (sum += wi * matrix[i][k] * wk)));
      }
      return (16 * Math.PI * sum) / unit ** 2;
    },
  };
}

/**
 * The value of a picture at a position in samples by linear interpolation, with zero beyond its edges, and the slopes.
 * Pictures are { height, width, channels, data }, channels last.
 */
export function read(picture, y, x, channel = 0) {
  const [top, left] = [Math.floor(y), Math.floor(x)];
  const [v, u] = [y - top, x - left];
  const at = (i, j) =>
    i >= 0 && i < picture.height && j >= 0 && j < picture.width
      ? picture.data[(i * picture.width + j) * picture.channels + channel]
      : 0;
  if (!Number.isFinite(y + x)) return { value: 0, slopes: [0, 0] };
  const [a, b, c, d] = [at(top, left), at(top, left + 1), at(top + 1, left), at(top + 1, left + 1)];
  return {
    value: (1 - v) * ((1 - u) * a + u * b) + v * ((1 - u) * c + u * d),
    slopes: [(1 - u) * (c - a) + u * (d - b), (1 - v) * (b - a) + v * (d - c)],
  };
}

/** A grey picture from rows of numbers. */
export const fromRows = (rows) => ({ height: rows.length, width: rows[0].length, channels: 1, data: rows.flat() });

/** A picture of red, green and blue, 0 to 255, from an image file. */
export async function load(address) {
  const image = new Image();
  image.src = address;
  await image.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  return { height: canvas.height, width: canvas.width, channels: 3, data: data.filter((_, k) => k % 4 < 3) };
}

/**
 * The mean squared error between a picture that is read through a rigid motion, (angle, y, x), and a target of the same
 * shape: the loss, its gradient by the three numbers, and for each sample of the output, in rows, the value, the
 * position in samples of the input that it is read from, and the loss's slopes by that position.
 */
export function misfit(picture, target, [angle, down, right]) {
  const { height, width } = target;
  const { unit, middle } = centered(height, width);
  const [cosine, sine] = [Math.cos(angle), Math.sin(angle)];
  // q = R p + offset in samples; at the identity exactly p, so that points on a sample stay on it.
  const offset = [
    middle[0] - (cosine * middle[0] + sine * middle[1]) + unit * down,
    middle[1] - (-sine * middle[0] + cosine * middle[1]) + unit * right,
  ];
  const samples = [];
  const gradient = [0, 0, 0];
  let loss = 0;
  for (let i = 0; i < height; i++) {
    for (let j = 0; j < width; j++) {
      const at = [cosine * i + sine * j + offset[0], -sine * i + cosine * j + offset[1]];
      const { value, slopes } = read(picture, ...at);
      const residual = value - target.data[i * width + j];
      const pull = slopes.map((slope) => (2 * residual * slope) / (height * width));
      const [p, q] = [i - middle[0], j - middle[1]];
      loss += residual ** 2 / (height * width);
      gradient[0] += pull[0] * (-sine * p + cosine * q) + pull[1] * (-cosine * p - sine * q);
      gradient[1] += unit * pull[0];
      gradient[2] += unit * pull[1];
      samples.push({ value, at, pull });
    }
  }
  return { loss, gradient, samples };
}
