package discovery

// components are all that there are, by name.
var components = byName(lightComponents, valueComponents, openingComponents, otherComponents)

func byName(lists ...[]Component) map[string]Component {
	all := make(map[string]Component)
	for _, list := range lists {
		for _, c := range list {
			all[c.Name] = c
		}
	}
	return all
}
