// Round numbers for axes and colour bars.

/** The step of 1, 2 or 5 times a power of ten by which a span has about so many, at most a third more. */
function stepOf(span, wanted) {
  const raw = span / wanted || 1;
  const unit = 10 ** Math.floor(Math.log10(raw));
  return [1, 2, 5, 10].map((m) => m * unit).find((s) => s >= raw * 0.75);
}

const times = (step, from, to) => Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => Number(((from + i) * step).toPrecision(12)));

/** Round numbers within low and high. */
export function ticks(low, high, wanted) {
  const step = stepOf(high - low, wanted);
  return times(step, Math.ceil(low / step - 1e-9), Math.floor(high / step + 1e-9));
}

/** Round numbers of which the first and the last hold low and high between them. */
export function around(low, high, wanted) {
  const step = stepOf(high - low, wanted);
  return times(step, Math.floor(low / step + 1e-9), Math.ceil(high / step - 1e-9));
}

/** Powers of ten from low to high, with 2 and 5 times them where they are few. */
export function logTicks(low, high) {
  const few = Math.log10(high / low) < 2.5;
  const out = [];
  for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e++) {
    out.push(...(few ? [1, 2, 5] : [1]).map((m) => m * 10 ** e));
  }
  return out.filter((v) => v >= low * 0.999 && v <= high * 1.001);
}
