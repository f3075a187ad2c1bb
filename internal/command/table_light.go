package command

import "slices"

// colorFeatures are those with which a light shows any color.
var colorFeatures = []string{argXY, argHS, argRGB, argRGBW, argRGBWW}

// kelvinFeatures are the names of the feature that is a color temperature.
var kelvinFeatures = []string{argKelvin, "color_temp"}

func lights() []*domain {
	transition := ranged(argTransition, KindNumber, 0, 6553, unitSeconds,
		append([]string{argBrightness}, append(slices.Clone(kelvinFeatures), colorFeatures...)...)...)
	flash := option(argFlash, argFlash, "short", "long")
	flash.field = ""
	brightness := answeredBy(ranged(argBrightness, KindInteger, 0, 255, "", argBrightness), argBrightness)
	kelvin := answeredBy(ranged(argKelvin, KindInteger, 1500, 12000, "K", append(slices.Clone(kelvinFeatures), colorFeatures...)...), argKelvin)
	on := []param{
		brightness,
		ranged(argBrightnessStep, KindInteger, -255, 255, "", argBrightness),
		ranged(argBrightnessPct, KindNumber, -100, 100, unitPercent, argBrightness),
		kelvin,
		{name: argXY, kind: KindXY, features: colorFeatures, field: argXY},
		{name: argHS, kind: KindHS, features: colorFeatures, field: argHS},
		{name: argRGB, kind: KindRGB, features: colorFeatures, field: argRGB},
		{name: argRGBW, kind: KindRGBW, features: []string{argRGBW}, field: argRGBW},
		{name: argRGBWW, kind: KindRGBWW, features: []string{argRGBWW}, field: argRGBWW},
		answeredBy(ranged(argWhite, KindInteger, 0, 255, "", argWhite), argBrightness),
		option("effect", "effect"),
		flash,
		transition,
	}
	return []*domain{
		{
			name: "light", base: "on", implied: true, words: onOffWords, inputs: lightInputs, bare: bareLight,
			actions: onOff(resolveLight, on, []param{flash, transition}),
			names:   map[string]string{"temperature": argKelvin, "ct": argKelvin},
		},
		{name: "switch", base: "on", implied: true, words: onOffWords, actions: onOff(nil, nil, nil)},
		{
			name: "siren", base: "on", implied: true, words: onOffWords,
			names: map[string]string{"volume": argVolume},
			actions: onOff(nil, []param{
				answeredBy(option("tone", "tone"), ""),
				ranged(argVolume, KindNumber, 0, 1, "", argVolume, "level"),
				answeredBy(option("level", "level"), ""),
				limited(ranged("duration", KindInteger, 0, 65535, unitSeconds, "duration")),
			}, nil),
		},
	}
}
