package faults

import (
	"encoding/json"
	"fmt"
)

// BaseTopic is the one of the harnesses' devices.
const BaseTopic = "zigbee2mqtt"

// Topic is where the i-th device reports.
func Topic(i int) string { return fmt.Sprintf("%s/dev%d", BaseTopic, i) }

// Address is the i-th device's.
func Address(i int) string { return fmt.Sprintf("0x%016x", i+1) }

// Temperature and Humidity are the ids of the two sensors that the i-th device has.
func Temperature(i int) string { return fmt.Sprintf("sensor.dev%d_temperature", i) }

// Humidity is the other one.
func Humidity(i int) string { return fmt.Sprintf("sensor.dev%d_humidity", i) }

// ReportOf is what a device says when both of its sensors are at n.
func ReportOf(n int) string { return fmt.Sprintf(`{"temperature":%d,"humidity":%d}`, n, n) }

// Announce publishes the lists of a bridge with n devices, retained as bridges do.
func Announce(p *Publisher, n int) error {
	type expose struct {
		Type     string `json:"type"`
		Name     string `json:"name"`
		Property string `json:"property"`
		Access   int    `json:"access"`
	}
	devices := []any{}
	for i := range n {
		exposes := []expose{{"numeric", "temperature", "temperature", 1}, {"numeric", "humidity", "humidity", 1}}
		devices = append(devices, map[string]any{
			"ieee_address": Address(i), "friendly_name": fmt.Sprintf("dev%d", i), "type": "EndDevice", "supported": true,
			"interview_completed": true, "definition": map[string]any{"model": "M1", "vendor": "V", "exposes": exposes},
		})
	}
	list, err := json.Marshal(devices)
	if err != nil {
		return err
	}
	if err := p.Publish(BaseTopic+"/bridge/devices", string(list), true); err != nil {
		return err
	}
	return p.Publish(BaseTopic+"/bridge/groups", "[]", true)
}
