package hass

import entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"

// Of what plays, and of what drives about: media_player, vacuum.

var mediaPlayerAttributes = []attribute[*entityv1.MediaPlayer]{
	{"volume_level", func(m *entityv1.MediaPlayer) any { return known(m.VolumeLevel) }},
	{"is_volume_muted", func(m *entityv1.MediaPlayer) any { return known(m.VolumeMuted) }},
	{"media_content_id", func(m *entityv1.MediaPlayer) any { return known(m.MediaContentId) }},
	{"media_content_type", func(m *entityv1.MediaPlayer) any { return known(m.MediaContentType) }},
	{"media_duration", func(m *entityv1.MediaPlayer) any { return known(m.MediaDuration) }},
	{"media_position", func(m *entityv1.MediaPlayer) any { return known(m.MediaPosition) }},
	{"media_position_updated_at", func(m *entityv1.MediaPlayer) any { return instant(m.MediaPositionUpdatedAt) }},
	{"media_title", func(m *entityv1.MediaPlayer) any { return known(m.MediaTitle) }},
	{"media_artist", func(m *entityv1.MediaPlayer) any { return known(m.MediaArtist) }},
	{"media_album_name", func(m *entityv1.MediaPlayer) any { return known(m.MediaAlbumName) }},
	{"media_album_artist", func(m *entityv1.MediaPlayer) any { return known(m.MediaAlbumArtist) }},
	{"media_track", func(m *entityv1.MediaPlayer) any { return known(m.MediaTrack) }},
	{"media_series_title", func(m *entityv1.MediaPlayer) any { return known(m.MediaSeriesTitle) }},
	{"media_season", func(m *entityv1.MediaPlayer) any { return known(m.MediaSeason) }},
	{"media_episode", func(m *entityv1.MediaPlayer) any { return known(m.MediaEpisode) }},
	{"media_channel", func(m *entityv1.MediaPlayer) any { return known(m.MediaChannel) }},
	{"media_playlist", func(m *entityv1.MediaPlayer) any { return known(m.MediaPlaylist) }},
	{"entity_picture", func(m *entityv1.MediaPlayer) any { return known(m.MediaImageUrl) }},
	{"app_id", func(m *entityv1.MediaPlayer) any { return known(m.AppId) }},
	{"app_name", func(m *entityv1.MediaPlayer) any { return known(m.AppName) }},
	{"source", func(m *entityv1.MediaPlayer) any { return known(m.Source) }},
	{"sound_mode", func(m *entityv1.MediaPlayer) any { return known(m.SoundMode) }},
	{"shuffle", func(m *entityv1.MediaPlayer) any { return known(m.Shuffle) }},
	{"repeat", func(m *entityv1.MediaPlayer) any { return word(m.GetRepeat()) }},
	{"group_members", func(m *entityv1.MediaPlayer) any { return list(m.GetGroupMembers()) }},
}

var mediaPlayerCapabilities = []attribute[*entityv1.Entity]{
	{"source_list", options("source")},
	{"sound_mode_list", options("sound_mode")},
}

var vacuumAttributes = []attribute[*entityv1.Vacuum]{
	{"fan_speed", func(v *entityv1.Vacuum) any { return known(v.FanSpeed) }},
	{"battery_level", func(v *entityv1.Vacuum) any { return known(v.BatteryLevel) }},
}

var vacuumCapabilities = []attribute[*entityv1.Entity]{
	{"fan_speed_list", options("fan_speed")},
}
