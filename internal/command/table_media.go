package command

func mediaPlayers() *domain {
	state := func(name, word string) action {
		return action{name: name, sets: is("state", text(word)), timeout: locks}
	}
	one := func(name string, p param) action {
		return action{name: name, params: []param{need(p)}, needs: p.features, timeout: locks}
	}
	volume := answeredBy(ranged(argVolume, KindNumber, 0, 1, "", argVolume), argVolume)
	truth := func(name, feature string) param {
		return param{name: name, kind: KindBool, features: []string{feature}, field: feature}
	}
	long := func(name string) param { return param{name: name, kind: KindText, length: maxLongText} }
	off := state(turnOff, "off")
	playMedia := action{name: "play_media", needs: []string{"media_content_id"}, timeout: locks, params: []param{
		need(long("media_content_id")), need(long("media_content_type")),
		{name: "enqueue", kind: KindOption, options: []string{"add", "next", "play", "replace"}},
		{name: "announce", kind: KindBool}, {name: "extra", kind: KindAny},
	}}
	return &domain{
		name: "media_player", base: "state", implied: true, bare: bareVolume,
		inputs: map[string]input{"media": {KindAny, mediaInput}},
		words: map[string]string{
			"on": turnOn, "off": turnOff, "toggle": toggle, "play": mediaPlay, "pause": mediaPause, "stop": "media_stop",
			"next": "media_next_track", "previous": "media_previous_track", "louder": "volume_up", "quieter": "volume_down",
		},
		names: map[string]string{"volume": argVolume, "muted": "is_volume_muted", "mute": "is_volume_muted"},
		actions: []action{
			state(turnOn, "on"), off, {name: toggle, timeout: locks, resolve: resolveMediaToggle},
			state(mediaPlay, "playing"), state(mediaPause, "paused"), state("media_stop", "idle"),
			{name: "media_play_pause", timeout: locks, resolve: resolvePlayPause},
			{name: "media_next_track", timeout: locks}, {name: "media_previous_track", timeout: locks},
			one("media_seek", ranged("seek_position", KindNumber, 0, 1e7, unitSeconds, "media_position")),
			one(volumeSet, volume),
			{name: "volume_up", needs: volume.features, timeout: locks, resolve: resolveVolume(0.1)},
			{name: "volume_down", needs: volume.features, timeout: locks, resolve: resolveVolume(-0.1)},
			one("volume_mute", truth("is_volume_muted", "volume_muted")),
			one("select_source", option("source", "source")),
			one("select_sound_mode", option("sound_mode", "sound_mode")),
			one("shuffle_set", truth("shuffle", "shuffle")),
			one("repeat_set", option("repeat", "repeat", "off", "all", "one")),
			playMedia,
			{name: "clear_playlist", needs: []string{"media_playlist"}, timeout: locks},
			{name: "join", needs: []string{"group_members"}, timeout: locks, params: []param{
				{name: "group_members", kind: KindTexts, required: true},
			}},
			{name: "unjoin", needs: []string{"group_members"}, timeout: locks},
		},
	}
}
