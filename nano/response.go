package nano

import "strings"

// Gold is the best response: every slot filled with the persona's value.
func (w *World) Gold(t Task, p Persona) string { return w.Response(t, p.Values) }

// Response is the right response to a task when only the known values were told: they fill
// their slots, the other slots stay generic, and irrelevant values are not used.
func (w *World) Response(t Task, known map[string]string) string {
	f := w.Families[w.family[t.Family]]
	text := f.Response
	for _, name := range f.relevant {
		phrase := f.Slots[name].Unknown
		if v, ok := known[name]; ok {
			phrase = fill(f.Slots[name].Known, v)
		}
		text = strings.ReplaceAll(text, "{"+name+"}", phrase)
	}
	return text
}
