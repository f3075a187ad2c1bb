package discovery

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
)

// haDeviceOf is the device that a configuration names, nil where it names none.
func haDeviceOf(v *entityv1.Value) (*entityv1.Device, error) {
	if dialect.IsNull(v) {
		return nil, nil
	}
	o, ok := haObjectOf(v)
	if !ok {
		return nil, haWrong("device", v, "an object")
	}
	o.expand(deviceAbbreviations)
	id, err := o.identifier()
	if err != nil {
		return nil, fmt.Errorf("device: %w", err)
	}
	d := &entityv1.Device{Id: haID(id)}
	via := ""
	for _, f := range []struct {
		key string
		to  *string
	}{
		{"name", &d.Name}, {"manufacturer", &d.Manufacturer}, {"model", &d.Model}, {"model_id", &d.ModelId},
		{"sw_version", &d.SoftwareVersion}, {"hw_version", &d.HardwareVersion}, {"serial_number", &d.SerialNumber}, {"via_device", &via},
	} {
		if *f.to, err = o.text(f.key); err != nil {
			return nil, fmt.Errorf("device: %w", err)
		}
	}
	if via != "" {
		d.ViaDevice = haID(via)
	}
	d.Name = cmp.Or(d.GetName(), id)
	return d, nil
}

// identifier is what names a device: its first identifier, else its first connection.
func (o haObject) identifier() (string, error) {
	for _, v := range haList(o["identifiers"]) {
		id, err := haObject{"identifiers": v}.text("identifiers")
		if id != "" || err != nil {
			return id, err
		}
	}
	for _, v := range haList(o["connections"]) {
		pair := haList(v)
		if len(pair) != 2 {
			return "", haWrong("connections", v, `a list of pairs like ["mac", "02:5b:26:a8:dc:12"]`)
		}
		kind, err := haObject{"connections": pair[0]}.text("connections")
		if err != nil {
			return "", err
		}
		address, err := haObject{"connections": pair[1]}.text("connections")
		if err != nil {
			return "", err
		}
		if kind == "mac" {
			address = haMAC(address)
		}
		if kind != "" && address != "" {
			return kind + ":" + address, nil
		}
	}
	return "", errors.New("it has no identifiers and no connections, of which one is needed to know it again")
}

// haMAC is a hardware address in its one spelling.
func haMAC(address string) string {
	digits := strings.ToLower(strings.NewReplacer(":", "", "-", "", ".", "").Replace(address))
	raw, err := hex.DecodeString(digits)
	if err != nil || len(raw) != 6 {
		return strings.ToLower(address)
	}
	pairs := make([]string, len(raw))
	for i := range raw {
		pairs[i] = digits[2*i : 2*i+2]
	}
	return strings.Join(pairs, ":")
}

// maxDeviceID is that of [Announcement].Device.
const maxDeviceID = 128

// haID is an identifier as the id of a device: a slash would make two parts of it. What is too long keeps its beginning.
func haID(identifier string) string { return haShort(haEscape.Replace(identifier), maxDeviceID) }

var haEscape = strings.NewReplacer("%", "%25", "/", "%2F")

// haShort is s in at most so many bytes, another one for every s.
func haShort(s string, most int) string {
	if len(s) <= most {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	return strings.ToValidUTF8(s[:most-33], "") + "~" + hex.EncodeToString(sum[:16])
}
