package cli

import (
	"cmp"
	"slices"
	"strings"
)

// closest are the candidates that somebody who wrote word may have meant, best first, three at most.
func closest(word string, candidates []string) []string {
	type guess struct {
		text string
		cost int
	}
	var guesses []guess
	_, name, _ := strings.Cut(word, ".")
	for _, c := range candidates {
		cost := distance(word, c)
		_, candidate, _ := strings.Cut(c, ".")
		if name != "" && name == candidate || word != "" && word == candidate {
			cost = 1 // the right name in the wrong domain, or without one
		}
		if cost <= max(2, len(word)/4) {
			guesses = append(guesses, guess{c, cost})
		}
	}
	slices.SortFunc(guesses, func(a, b guess) int {
		return cmp.Or(cmp.Compare(a.cost, b.cost), cmp.Compare(a.text, b.text))
	})
	var texts []string
	for _, g := range guesses[:min(3, len(guesses))] {
		texts = append(texts, g.text)
	}
	return texts
}

// didYouMean is a clause for the end of a message, empty where nothing is close.
func didYouMean(word string, candidates []string) string {
	found := closest(word, candidates)
	if len(found) == 0 {
		return ""
	}
	return "; did you mean " + strings.Join(found, " or ") + "?"
}

// distance is the number of bytes to insert, delete, replace or swap with a neighbour to get from a to b.
func distance(a, b string) int {
	rows := [3][]int{make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)}
	for j := range rows[1] {
		rows[1][j] = j
	}
	for i := 1; i <= len(a); i++ {
		older, last, row := rows[0], rows[1], rows[2]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], older[j-2]+1)
			}
		}
		rows = [3][]int{last, row, older}
	}
	return rows[1][len(b)]
}
