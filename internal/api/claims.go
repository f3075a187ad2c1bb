package api

// MaxClaimTopics is how many topics one request may ask about.
const MaxClaimTopics = 1000

// maxClaimEntities is how many entities of a claim go over the wire.
const maxClaimEntities = 100

// Claim says that somebody does something with the messages of a topic.
type Claim struct {
	Topic string `json:"topic"`
	// Dialect is who claims it, as the source of the events that follow from its messages: "zigbee2mqtt/default/zigbee2mqtt".
	Dialect string `json:"dialect"`
	// Entities are those that its messages are about, and More is how many of them are left out.
	Entities []string `json:"entities,omitempty"`
	More     int      `json:"more,omitempty"`
	// Note says in a word or two what its messages are: "report", "command".
	Note string `json:"note,omitempty"`
}

// ClaimsQuery asks who claims topics.
type ClaimsQuery struct {
	Topics []string `json:"topics"`
}

// Claims are the claims of the topics that were asked about, in that order. A topic that nobody claims has none, and one that
// several claim has several.
type Claims struct {
	Claims []Claim `json:"claims"`
}

// NewClaims asks who claims topics, and leaves out what of their entities is too much.
func NewClaims(topics []string, claims func(topic string) []Claim) Claims {
	all := Claims{Claims: []Claim{}}
	for _, topic := range topics {
		for _, c := range claims(topic) {
			c.Topic = topic
			if n := len(c.Entities); n > maxClaimEntities {
				c.Entities, c.More = c.Entities[:maxClaimEntities:maxClaimEntities], c.More+n-maxClaimEntities
			}
			all.Claims = append(all.Claims, c)
		}
	}
	return all
}
