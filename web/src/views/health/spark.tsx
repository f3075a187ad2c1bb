/** A small curve, which says how something went lately; the last value stands in words beside it. */
export function Spark({ values, label }: { values: readonly number[]; label: string }) {
  const most = Math.max(1e-9, ...values);
  const step = 120 / Math.max(1, values.length - 1);
  const points = values.map((v, i) => `${(i * step).toFixed(1)},${(27 - (v / most) * 24).toFixed(1)}`);
  return (
    <svg class="health-spark" viewBox="0 0 120 30" preserveAspectRatio="none" role="img" aria-label={label}>
      {values.length > 1 && <path d={`M${points.join(" ")}`} />}
    </svg>
  );
}
