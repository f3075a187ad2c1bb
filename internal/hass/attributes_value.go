package hass

import entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"

// Of what is one value, or one that can be set: sensor, number, select, event, update.

var sensorAttributes = []attribute[*entityv1.Sensor]{
	{"last_reset", func(s *entityv1.Sensor) any { return instant(s.LastReset) }},
}

var sensorCapabilities = []attribute[*entityv1.Entity]{
	{"options", func(e *entityv1.Entity) any { return list(e.GetCapabilities().GetOptions()) }},
}

var numberCapabilities = []attribute[*entityv1.Entity]{
	{"min", func(e *entityv1.Entity) any {
		return capability(e, func(c *entityv1.Capabilities) *float64 { return c.Minimum })
	}},
	{"max", func(e *entityv1.Entity) any {
		return capability(e, func(c *entityv1.Capabilities) *float64 { return c.Maximum })
	}},
	{"step", func(e *entityv1.Entity) any {
		return capability(e, func(c *entityv1.Capabilities) *float64 { return c.Step })
	}},
}

var selectCapabilities = []attribute[*entityv1.Entity]{
	{"options", func(e *entityv1.Entity) any { return list(e.GetCapabilities().GetOptions()) }},
}

var eventAttributes = []attribute[*entityv1.Event]{
	{"event_type", func(e *entityv1.Event) any { return known(e.EventType) }},
}

var eventCapabilities = []attribute[*entityv1.Entity]{
	{"event_types", func(e *entityv1.Entity) any { return list(e.GetCapabilities().GetOptions()) }},
}

var updateAttributes = []attribute[*entityv1.Update]{
	{"installed_version", func(u *entityv1.Update) any { return known(u.InstalledVersion) }},
	{"latest_version", func(u *entityv1.Update) any { return known(u.LatestVersion) }},
	{"in_progress", func(u *entityv1.Update) any { return known(u.InProgress) }},
	{"update_percentage", func(u *entityv1.Update) any { return known(u.UpdatePercentage) }},
	{"title", func(u *entityv1.Update) any { return known(u.Title) }},
	{"release_summary", func(u *entityv1.Update) any { return known(u.ReleaseSummary) }},
	{"release_url", func(u *entityv1.Update) any { return known(u.ReleaseUrl) }},
	{"skipped_version", func(u *entityv1.Update) any { return known(u.SkippedVersion) }},
	{"auto_update", func(u *entityv1.Update) any { return known(u.AutoUpdate) }},
}

// capability is a limit of an entity's value.
func capability(e *entityv1.Entity, of func(*entityv1.Capabilities) *float64) any {
	if c := e.GetCapabilities(); c != nil {
		return known(of(c))
	}
	return nil
}
