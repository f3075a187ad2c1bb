package discovery

import (
	"fmt"
	"net/url"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
)

// imageComponent is a picture, of which the address is a state. What a picture shows is none.
var imageComponent = Component{
	Name: "image", Domain: "image",
	Check: func(c Config) error {
		if !listens(c, "url_topic") && listens(c, "image_topic") {
			return fmt.Errorf("%w: an image is no state, only its address is, on url_topic", ErrNoState)
		}
		return needsAll("image", "url_topic")(c)
	},
	Describe: func(_ Config, e *entityv1.Entity) { e.Capabilities.Readable = true },
	Inputs: func(c Config) []Input {
		return inputsOf(Input{Sources: c.Sources("url_topic", "url_template"), Set: unlessEmpty(setImageAddress)})
	},
}

func setImageAddress(a *entityv1.Attributes, s Said) error {
	const longest = 4096
	if s.Unknown() {
		genericOf(a).State = nil
		return nil
	}
	u, err := url.Parse(s.Text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || len(s.Text) > longest {
		return unfit(s, "an address of http or https")
	}
	genericOf(a).State = dialect.StringValue(s.Text)
	return nil
}
