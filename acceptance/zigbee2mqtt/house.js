// Writes the data directory of a Zigbee2MQTT that knows 35 devices: node house.js DIR PORT.
// PORT is that of the MQTT broker on this machine.
const fs = require("fs");
const path = require("path");

const [, , dir, port] = process.argv;

// What a device is called, its model and vendor as it says them itself, whether a battery feeds it, and its clusters.
const devices = [
  ["office_radiator", "RBSH-TRV0-ZB-EU", "Bosch", "Battery", [1, 513]],
  ["develco_smoke", "SMSZB-120", "Develco", "Battery", [1, 1026, 1280, 6]],
  ["siren", "WarningDevice", "_TYZB01_8scntis1", "Battery", [1]],
  ["desk_lamp", "TRADFRI bulb E27 WW 806lm", "IKEA", "Mains", [4, 5, 6, 8]],
  ["office_blind", "FYRTUR block-out roller blind", "IKEA", "Battery", [1, 258]],
  ["starkvind", "STARKVIND Air purifier", "IKEA", "Mains", [514]],
  ["hall_switch", "TRADFRI on/off switch", "IKEA", "Battery", [1]],
  ["rodret_dimmer", "RODRET Dimmer", "IKEA", "Battery", [1]],
  ["vindstyrka", "VINDSTYRKA", "IKEA", "Mains", [1026, 1029]],
  ["linky", "ZLinky_TIC", "LiXee", "Mains", []],
  ["cube_button", "lumi.sensor_switch", "Xiaomi", "Battery", [1]],
  ["double_wall_switch", "lumi.ctrl_neutral2", "Aqara", "Mains", [4, 5, 6]],
  ["bathroom_climate", "lumi.weather", "Aqara", "Battery", [1, 1026, 1029, 1027]],
  ["hall_motion", "lumi.sensor_motion.aq2", "Aqara", "Battery", [1, 1024, 1030]],
  ["front_door", "lumi.sensor_magnet.aq2", "Aqara", "Battery", [1, 1280, 6]],
  ["sink_leak", "lumi.sensor_wleak.aq1", "Aqara", "Battery", [1, 1280, 6]],
  ["aqara_cube", "lumi.sensor_cube", "Aqara", "Battery", [1]],
  ["fridge_plug", "lumi.plug.mmeu01", "Xiaomi", "Mains", [4, 5, 6, 2820, 1794]],
  ["washing_machine", "lumi.plug.maeu01", "Aqara", "Mains", [4, 5, 6, 2820, 1794]],
  ["hall_smoke", "lumi.sensor_smoke.acn03", "Aqara", "Battery", [1, 1280, 6]],
  ["bedroom_curtain", "lumi.curtain.hagl04", "Aqara", "Battery", [1, 258]],
  ["sofa_lamp", "LCT001", "Philips", "Mains", [4, 5, 6, 8, 768]],
  ["ceiling_1", "LCT002", "Philips", "Mains", [4, 5, 6, 8, 768]],
  ["ceiling_2", "LWB015", "Philips", "Mains", [4, 5, 6, 8]],
  ["hue_wall_module", "RDM001", "Philips", "Battery", [1]],
  ["hue_dimmer", "RWL020", "Philips", "Battery", [1]],
  ["kitchen_window", "DS01", "eWeLink", "Battery", [1, 1280, 6]],
  ["bedroom_climate", "TH01", "eWeLink", "Battery", [1, 1026, 1029]],
  ["stairs_motion", "MS01", "eWeLink", "Battery", [1, 1030]],
  ["bedroom_radiator", "TRVZB", "SONOFF", "Battery", [1, 513]],
  ["air_box", "TS0601", "_TZE200_8ygsuhe1", "Mains", [1026, 1029]],
  ["cellar_climate", "TS0201", "Tuya", "Battery", [1, 1026, 1029]],
  ["bath_trv", "kud7u2l", "_TZE200_ckud7u2l", "Mains", [4, 5, 6, 513]],
  ["tv_plug", "TS011F", "_TZ3008_tary5dvv", "Mains", [4, 5, 6, 2820, 1794]],
  ["front_lock", "YRD226 TSDB", "Yale", "Battery", [1, 257]],
];

const always = [0, 3]; // genBasic and genIdentify, which every device has
const interviewed = { interviewCompleted: true, interviewState: "SUCCESSFUL" };

function endpoint(number, kind, input, output, clusters) {
  return {
    profId: 260, epId: number, devId: kind, inClusterList: input, outClusterList: output, clusters,
    binds: [], configuredReportings: [], meta: {},
  };
}

const coordinator = {
  id: 1, type: "Coordinator", ieeeAddr: "0x00124b0018ed0001", nwkAddr: 0, manufId: 0, epList: [1],
  endpoints: { 1: endpoint(1, 5, [], [], {}) }, ...interviewed, meta: {},
};

function device([, modelId, vendor, power, clusters], i) {
  const id = i + 2;
  const said = {
    genBasic: { attributes: { modelId, manufacturerName: vendor, swBuildId: "1.0.0" } },
    lightingColorCtrl: { attributes: { colorCapabilities: 31 } },
  };
  return {
    id, type: power === "Battery" ? "EndDevice" : "Router", ieeeAddr: address(i), nwkAddr: 1000 + id,
    manufId: 4447, manufName: vendor, powerSource: power === "Battery" ? power : "Mains (single phase)", modelId, epList: [1],
    endpoints: { 1: endpoint(1, 770, [...always, ...clusters], [3, 6, 8, 25], said) },
    appVersion: 1, stackVersion: 2, hwVersion: 1, dateCode: "20240101", swBuildId: "1.0.0", zclVersion: 3, ...interviewed,
    meta: { configured: 332242049 }, lastSeen: Date.now(),
  };
}

const address = (i) => "0x00158d00" + (0x10000002 + i).toString(16);

const configuration = `version: 5
homeassistant:
  enabled: true
frontend:
  enabled: false
availability:
  enabled: true
mqtt:
  base_topic: zigbee2mqtt
  server: mqtt://127.0.0.1:${Number(port)}
serial:
  port: /dev/null
  adapter: zstack
advanced:
  channel: 11
  log_level: warning
  log_output: [console]
  last_seen: ISO_8601
  network_key: [1, 3, 5, 7, 9, 11, 13, 15, 0, 2, 4, 6, 8, 10, 12, 13]
  pan_id: 6754
  ext_pan_id: [221, 221, 221, 221, 221, 221, 221, 221]
devices:
${devices.map(([name], i) => `  '${address(i)}':\n    friendly_name: ${name}`).join("\n")}
`;

fs.mkdirSync(dir, { recursive: true });
const rows = [coordinator, ...devices.map(device)];
fs.writeFileSync(path.join(dir, "database.db"), rows.map((row) => JSON.stringify(row)).join("\n"));
fs.writeFileSync(path.join(dir, "configuration.yaml"), configuration);
