// Stands for the radio of a Zigbee2MQTT: node -r ./radio.js node_modules/zigbee2mqtt/index.js.
//
// Only the adapter inside zigbee-herdsman is another one; everything above it is the real program. What is read of a
// device is answered from a table, what is written is acknowledged and forgotten, and what is switched on or off reports
// that it is. Nothing else follows from a command: a lock says that it took it and never that it is locked.
//
// SIGUSR2 has the devices report, RADIO_RATE times a second (20), and silences them again the next time.
const { Adapter } = require("zigbee-herdsman/dist/adapter/adapter.js");
const Zcl = require("zigbee-herdsman/dist/zspec/zcl");
const { Device } = require("zigbee-herdsman/dist/controller/model");

const rate = Number(process.env.RADIO_RATE) || 20;

// What a device answers when an attribute of a cluster is read.
const known = {
  genBasic: { zclVersion: 3 },
  genOnOff: { onOff: 1, startUpOnOff: 255 },
  genLevelCtrl: { currentLevel: 120 },
  lightingColorCtrl: {
    colorCapabilities: 31, colorTempPhysicalMin: 153, colorTempPhysicalMax: 500, colorTemperature: 370,
    currentX: 30000, currentY: 26000, colorMode: 2, startUpColorTemperature: 370,
  },
  genPowerCfg: { batteryPercentageRemaining: 190, batteryVoltage: 30 },
  msTemperatureMeasurement: { measuredValue: 2150 },
  msRelativeHumidity: { measuredValue: 4870 },
  msIlluminanceMeasurement: { measuredValue: 20000 },
  msOccupancySensing: { occupancy: 0 },
  haElectricalMeasurement: {
    acVoltageMultiplier: 1, acVoltageDivisor: 10, acCurrentMultiplier: 1, acCurrentDivisor: 1000, acPowerMultiplier: 1,
    acPowerDivisor: 10, rmsVoltage: 2311, rmsCurrent: 412, activePower: 935,
  },
  seMetering: { multiplier: 1, divisor: 1000, currentSummDelivered: 123456 },
  hvacThermostat: {
    localTemp: 2130, occupiedHeatingSetpoint: 2100, systemMode: 4, pIHeatingDemand: 34, runningState: 1,
  },
  closuresWindowCovering: { currentPositionLiftPercentage: 40 },
  closuresDoorLock: { lockState: 1 },
};

let radio; // the one that runs
let sequence = 0;

class Radio extends Adapter {
  constructor(...args) {
    super(...args);
    this.hasZdoMessageOverhead = false;
    radio = this;
  }
  async start() { return "resumed"; }
  async stop() {}
  async reset() {}
  async getCoordinatorIEEE() { return "0x00124b0018ed0001"; }
  async getCoordinatorVersion() {
    return { type: "zStack3x0", meta: { revision: 20240710, transportrev: 2, product: 1, majorrel: 2, minorrel: 7, maintrel: 1 } };
  }
  async supportsBackup() { return false; }
  async backup() { throw new Error("there is nothing to back up"); }
  async getNetworkParameters() { return { panID: 6754, extendedPanID: "0xdddddddddddddddd", channel: 11, nwkUpdateID: 0 }; }
  async addInstallCode() {}
  async permitJoin() {}
  waitFor() { return { promise: new Promise(() => {}), cancel() {} }; }
  async sendZdo(ieee, network, cluster, payload, silent) { return silent ? undefined : [0, undefined]; }

  async sendZclFrameToEndpoint(ieee, network, endpoint, frame, timeout, silent) {
    const { cluster, command } = frame;
    if (frame.header.isGlobal) {
      switch (command.name) {
        case "read": return respond(network, endpoint, frame, "readRsp", frame.payload.map((asked) => attribute(cluster, asked.attrId)));
        case "write":
        case "writeUndiv": return respond(network, endpoint, frame, "writeRsp", [{ status: 0 }]);
        case "configReport": return respond(network, endpoint, frame, "configReportRsp", [{ status: 0 }]);
      }
      return undefined;
    }
    if (cluster.name === "genOnOff") {
      const on = { on: 1, off: 0 }[command.name] ?? Math.round(Math.random());
      setTimeout(() => report(network, endpoint, "genOnOff", { onOff: on }), 30);
    }
    return silent ? undefined : respond(network, endpoint, frame, "defaultRsp", { cmdId: command.ID, statusCode: 0 });
  }
  async sendZclFrameToGroup() {}
  async sendZclFrameToAll() {}
  async setChannelInterPAN() {}
  async sendZclFrameInterPANToIeeeAddr() {}
  async sendZclFrameInterPANBroadcast() {}
  async restoreChannelInterPAN() {}
}
Adapter.create = async (...args) => new Radio(...args);

function attribute(cluster, id) {
  const found = Object.values(cluster.attributes).find((a) => a.ID === id);
  const value = found && known[cluster.name]?.[found.name];
  return value === undefined ? { attrId: id, status: 0x86 } : { attrId: id, status: 0, dataType: found.type, attrData: value };
}

// payload is a frame as herdsman wants it from an adapter.
function payload(network, endpoint, frame, linkquality) {
  const data = frame.toBuffer();
  return {
    clusterID: frame.cluster.ID, address: network, header: Zcl.Header.fromBuffer(data), data, endpoint, linkquality,
    groupID: 0, wasBroadcast: false, destinationEndpoint: 1,
  };
}

function respond(network, endpoint, asked, command, content) {
  const { manufacturerCode, transactionSequenceNumber } = asked.header;
  return payload(network, endpoint, Zcl.Frame.create(Zcl.FrameType.GLOBAL, Zcl.Direction.SERVER_TO_CLIENT, true,
    manufacturerCode, transactionSequenceNumber, command, asked.cluster.ID, content, {}), 100);
}

function send(network, endpoint, type, command, cluster, content) {
  sequence = (sequence + 1) & 255;
  radio.emit("zclPayload", payload(network, endpoint, Zcl.Frame.create(type, Zcl.Direction.SERVER_TO_CLIENT, true, undefined,
    sequence, command, cluster, content, {}), 100 + random(80)));
}

function report(network, endpoint, name, values) {
  const cluster = Zcl.Utils.getCluster(name, undefined, {});
  send(network, endpoint, Zcl.FrameType.GLOBAL, "report", cluster.ID, Object.entries(values).map(([attr, value]) => ({
    attrId: cluster.attributes[attr].ID, dataType: cluster.attributes[attr].type, attrData: value,
  })));
}

const random = (n) => Math.floor(n * Math.random());

// What a device with a cluster, by its number, says of itself.
const says = {
  1: () => ["genPowerCfg", { batteryPercentageRemaining: 150 + random(50) }],
  6: () => ["genOnOff", { onOff: random(2) }],
  8: () => ["genLevelCtrl", { currentLevel: random(255) }],
  258: () => ["closuresWindowCovering", { currentPositionLiftPercentage: random(101) }],
  513: () => ["hvacThermostat", { localTemp: 2000 + random(200), pIHeatingDemand: random(101) }],
  1024: () => ["msIlluminanceMeasurement", { measuredValue: 10000 + random(9000) }],
  1026: () => ["msTemperatureMeasurement", { measuredValue: 1800 + random(600) }],
  1029: () => ["msRelativeHumidity", { measuredValue: 4500 + random(800) }],
  1030: () => ["msOccupancySensing", { occupancy: random(2) }],
  1794: () => ["seMetering", { currentSummDelivered: Math.floor(Date.now() / 1000) }],
  2820: () => ["haElectricalMeasurement", { activePower: 900 + random(200), rmsVoltage: 2290 + random(40) }],
};

function alarm(network, endpoint) {
  send(network, endpoint, Zcl.FrameType.SPECIFIC, "statusChangeNotification", 1280,
    { zonestatus: random(2), extendedstatus: 0, zoneID: 0, delay: 0 });
}

function chatter() {
  const all = [];
  for (const device of Device.all()) {
    if (device.type === "Coordinator") continue;
    for (const endpoint of device.endpoints) {
      for (const cluster of endpoint.inputClusters) {
        if (cluster === 1280 || says[cluster]) all.push([device.networkAddress, endpoint.ID, cluster]);
      }
    }
  }
  const [network, endpoint, cluster] = all[random(all.length)];
  if (cluster === 1280) alarm(network, endpoint);
  else report(network, endpoint, ...says[cluster]());
}

let chattering;
process.on("SIGUSR2", () => {
  if (chattering) {
    clearInterval(chattering);
    chattering = undefined;
  } else if (radio) {
    chattering = setInterval(chatter, 1000 / rate);
  }
});
