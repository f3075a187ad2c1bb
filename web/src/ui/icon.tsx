// The page's pictures, drawn on a square of 24.

const paths = {
  house: "M4 11 12 4l8 7v9H4z M8 16h2l1.5-3.5 2 5L15 14h1.5",
  light: "M9 18h6M10 21h4M12 3a6 6 0 0 0-3.5 10.9c.6.5.5 1.1.5 2.1h6c0-1-.1-1.6.5-2.1A6 6 0 0 0 12 3z",
  switch: "M8 7h8a5 5 0 0 1 0 10H8A5 5 0 0 1 8 7zM16 12h.01",
  sensor: "M12 14a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM7.5 16.5a6.4 6.4 0 0 1 0-9M16.5 7.5a6.4 6.4 0 0 1 0 9M5 19a10 10 0 0 1 0-14M19 5a10 10 0 0 1 0 14",
  temperature: "M10 14V5a2 2 0 1 1 4 0v9a4 4 0 1 1-4 0zM12 9v8",
  humidity: "M12 3c3.5 4.5 6 7.3 6 11a6 6 0 0 1-12 0c0-3.7 2.5-6.5 6-11z",
  power: "M13 3 5 14h6l-1 7 8-11h-6z",
  battery: "M4 8h14v8H4zM20 11v2M7 11v2",
  motion: "M13 5a1.5 1.5 0 1 0 0-.01M8 11l4-2 2 3 3 1M12 9l-1 6-4 5M11.5 14l3 2v5",
  door: "M6 21V4h12v17M4 21h16M14.5 12.5h.01",
  climate: "M12 3v18M4 8l16 8M20 8 4 16M9.5 4.5 12 7l2.5-2.5M9.5 19.5 12 17l2.5 2.5",
  cover: "M4 4h16M6 4v16M18 4v16M6 8h12M6 12h12M6 16h12M12 16v4",
  lock: "M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3M12 15v2",
  fan: "M12 12m-1.5 0a1.5 1.5 0 1 0 3 0 1.5 1.5 0 1 0-3 0M12 10.5C10 6 11 3 14 3c3 0 3 4-1 7.5M13.5 12c4.5-2 7.5-1 7.5 2 0 3-4 3-7.5-1M12 13.5c2 4.5 1 7.5-2 7.5-3 0-3-4 1-7.5M10.5 12C6 14 3 13 3 10c0-3 4-3 7.5 1",
  siren: "M7 17v-5a5 5 0 0 1 10 0v5M5 20h14v-3H5zM12 3v1M4.5 6.5l.8.8M19.5 6.5l-.8.8",
  number: "M5 17V7l3 3M12 17h5M12 9.5A2.5 2.5 0 1 1 16.5 11L12 17",
  select: "M5 6h14M5 12h14M5 18h8M17 17l2 2 2-2",
  text: "M5 7V5h14v2M12 5v14M9 19h6",
  button: "M5 8h14v8H5zM12 12h.01",
  event: "M6 3v6l-2 3h16l-2-3V3M9 16a3 3 0 0 0 6 0",
  update: "M12 4v11M8 11l4 4 4-4M5 20h14",
  person: "M12 11a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4.5 21a7.5 7.5 0 0 1 15 0",
  media: "M4 5h16v12H4zM9 21h6M10.5 8.5v5l4-2.5z",
  generic: "M12 3 4 7.5v9L12 21l8-4.5v-9zM4 7.5l8 4.5 8-4.5M12 12v9",
  search: "M11 17a6 6 0 1 0 0-12 6 6 0 0 0 0 12zM20 20l-4.5-4.5",
  play: "M8 5v14l11-7z",
  pause: "M8 5v14M16 5v14",
  previous: "M15 6l-6 6 6 6",
  next: "M9 6l6 6-6 6",
  first: "M17 6l-6 6 6 6M7 6v12",
  last: "M7 6l6 6-6 6M17 6v12",
  now: "M12 7v5l3 2M21 12a9 9 0 1 1-18 0 9 9 0 0 1 18 0z",
  sun: "M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM12 3v2M12 19v2M3 12h2M19 12h2M5.6 5.6 7 7M17 17l1.4 1.4M5.6 18.4 7 17M17 7l1.4-1.4",
  moon: "M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5z",
  auto: "M21 12a9 9 0 1 1-18 0 9 9 0 0 1 18 0zM12 3v18M12 7l5-1M12 12h9M12 17l5 1",
  out: "M14 4h5v16h-5M4 12h11M11 8l4 4-4 4",
  help: "M9 9a3 3 0 1 1 4.5 2.6c-1 .6-1.5 1.2-1.5 2.4M12 17.5h.01M21 12a9 9 0 1 1-18 0 9 9 0 0 1 18 0z",
  close: "M6 6l12 12M18 6 6 18",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  stop: "M6 6h12v12H6z",
  up: "M6 15l6-6 6 6",
  down: "M6 9l6 6 6-6",
  download: "M12 4v10M8 10l4 4 4-4M5 19h14",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  warning: "M12 4 2.5 20h19zM12 10v4M12 17h.01",
  why: "M5 5h4v4H5zM15 15h4v4h-4zM7 9v5a3 3 0 0 0 3 3h5M12.5 14.5 15 17l-2.5 2.5",
  compare: "M12 3v18M4 7h5M4 12h5M4 17h5M15 7h5M15 12h5M15 17h5",
  health: "M3 12h4l2-5 4 10 3-7 1 2h4",
} as const;

export type IconName = keyof typeof paths;

/** A picture that says nothing to a screen reader: what it stands beside, or the label around it, does. */
export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true">
      <path d={paths[name]} />
    </svg>
  );
}

const byClass: Record<string, IconName> = {
  temperature: "temperature",
  humidity: "humidity",
  moisture: "humidity",
  power: "power",
  energy: "power",
  current: "power",
  voltage: "power",
  battery: "battery",
  motion: "motion",
  occupancy: "motion",
  presence: "motion",
  door: "door",
  window: "door",
  opening: "door",
};

const byDomain: Record<string, IconName> = {
  binary_sensor: "sensor",
  media_player: "media",
  valve: "cover",
  humidifier: "humidity",
  water_heater: "climate",
  device_tracker: "person",
  alarm_control_panel: "siren",
  scene: "button",
  input_boolean: "switch",
};

/** The picture of an entity of a domain and a device class. */
export function iconOf(domain: string, deviceClass: string | undefined): IconName {
  return byClass[deviceClass ?? ""] ?? byDomain[domain] ?? (domain in paths ? (domain as IconName) : "generic");
}
