package hass

import (
	"slices"
	"strings"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/access"
)

// config is the answer of get_config.
type config struct {
	LocationName  string            `json:"location_name"`
	Latitude      float64           `json:"latitude"`
	Longitude     float64           `json:"longitude"`
	Elevation     float64           `json:"elevation"`
	Radius        float64           `json:"radius"`
	UnitSystem    map[string]string `json:"unit_system"`
	TimeZone      string            `json:"time_zone"`
	Components    []string          `json:"components"`
	Version       string            `json:"version"`
	ConfigDir     string            `json:"config_dir"`
	ConfigSource  string            `json:"config_source"`
	AllowedDirs   []string          `json:"allowlist_external_dirs"`
	AllowedURLs   []string          `json:"allowlist_external_urls"`
	Country       *string           `json:"country"`
	Currency      string            `json:"currency"`
	Language      string            `json:"language"`
	ExternalURL   *string           `json:"external_url"`
	InternalURL   *string           `json:"internal_url"`
	State         string            `json:"state"`
	SafeMode      bool              `json:"safe_mode"`
	RecoveryMode  bool              `json:"recovery_mode"`
	StatehouseOwn ownConfig         `json:"statehouse"`
}

// ownConfig is what Home Assistant's own answer has not.
type ownConfig struct {
	Version string `json:"version"`
	// Position is the moment's, left out for who sees some entities only, and Frozen says that nothing will come after it.
	Position eventstore.Position `json:"position,omitempty"`
	Frozen   bool                `json:"frozen"`
}

// own are the components that are there in every house.
var own = []string{"api", "history", "homeassistant", "logbook", "recorder", "websocket_api"}

func (h *Handler) config(v *view, who *access.Identity) config {
	position := v.now().Position()
	if !who.Everywhere(access.Read) {
		position = 0 // it tells that something happened
	}
	return config{
		LocationName: "Statehouse", TimeZone: "UTC", Currency: "EUR", Language: "en", Radius: 100,
		UnitSystem: map[string]string{
			"length": "km", "accumulated_precipitation": "mm", "area": "m²", "mass": "g", "pressure": "Pa",
			"temperature": "°C", "volume": "L", "wind_speed": "m/s",
		},
		Components: componentsOf(v, who), Version: Compatible, ConfigDir: "/", ConfigSource: "storage",
		AllowedDirs: []string{}, AllowedURLs: []string{}, State: "RUNNING",
		StatehouseOwn: ownConfig{Version: h.opts.Version, Position: position, Frozen: v.frozen != nil},
	}
}

// componentsOf are the domains that somebody sees entities of, and those that every house has.
func componentsOf(v *view, who *access.Identity) []string {
	all := slices.Clone(own)
	seen := map[string]bool{}
	for id := range v.now().State.Entities.All() {
		if domain, _, _ := strings.Cut(id, "."); !seen[domain] && who.May(access.Read, id) {
			seen[domain] = true
			all = append(all, domain)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// user is the answer of auth/current_user.
type user struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	IsAdmin     bool     `json:"is_admin"`
	IsOwner     bool     `json:"is_owner"`
	Credentials []string `json:"credentials"`
	MFAModules  []string `json:"mfa_modules"`
}

// userFor describes an identity. Clients look at is_admin to know whether the whole house can be seen, and some do nothing
// otherwise; what may be done is decided at every command.
func userFor(who *access.Identity) user {
	return user{
		ID: who.Name(), Name: who.Name(), IsAdmin: who.Everywhere(access.Read), IsOwner: who.Everywhere(access.Admin),
		Credentials: []string{}, MFAModules: []string{},
	}
}
