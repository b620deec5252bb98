// Package printable makes words from outside safe to print: names, reasons and what peers say are data, and must not move a
// reader's cursor, ring a bell, begin a line of their own or turn the direction of writing.
package printable

import (
	"reflect"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Line is text as part of one line: whatever does not print is escaped as Go does it, line ends and tabs included.
func Line(text string) string { return escape(text, false) }

// Text is text of several lines: line ends and tabs stay.
func Text(text string) string { return escape(text, true) }

// IsLine tells whether Line changes nothing. Odd is the first character that it would escape.
func IsLine(text string) (ok bool, odd rune) { return isFine(text, false) }

// IsText tells whether Text changes nothing. A carriage return before a line end is let through, too.
func IsText(text string) (ok bool, odd rune) {
	return isFine(strings.ReplaceAll(text, "\r\n", "\n"), true)
}

// IsName tells whether text can be a name: a line.
func IsName(text string) bool {
	ok, _ := IsLine(text)
	return ok
}

func isFine(text string, lines bool) (ok bool, odd rune) {
	for i, r := range text {
		if !prints(r, lines) || r == utf8.RuneError && isBroken(text[i:]) {
			return false, r
		}
	}
	return true, 0
}

func escape(text string, lines bool) string {
	if ok, _ := isFine(text, lines); ok {
		return text
	}
	var b strings.Builder
	for i, r := range text {
		switch {
		case r == utf8.RuneError && isBroken(text[i:]):
			b.WriteString(`\x` + strconv.FormatUint(uint64(text[i])|0x100, 16)[1:])
		case prints(r, lines):
			b.WriteRune(r)
		default:
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
	}
	return b.String()
}

// prints tells whether a character may stand as it is: letters, marks, numbers, punctuation, symbols, the space, and the two
// joiners that Arabic, Persian and Indic scripts need. Controls, line separators and what turns the direction may not.
func prints(r rune, lines bool) bool {
	switch r {
	case '\n', '\t':
		return lines
	case ' ', '\u00a0', '\u200c', '\u200d':
		return true
	}
	return unicode.IsPrint(r)
}

// isBroken tells whether text begins with a byte that is no UTF-8, rather than with U+FFFD itself.
func isBroken(text string) bool {
	_, size := utf8.DecodeRuneInString(text)
	return size == 1
}

// Clean makes every string that value leads to one Line, in place. Fields with the tag printable:"text" stay Text. Value is a
// pointer.
func Clean(value any) {
	walk(reflect.ValueOf(value), false, escape)
}

// Odd finds a string that value leads to which is no Line, or for fields with the tag printable:"text" no Text, and the first
// character that is wrong with it.
func Odd(value any) (text string, odd rune, found bool) {
	walk(reflect.ValueOf(value), false, func(s string, lines bool) string {
		check := IsLine
		if lines {
			check = IsText
		}
		if ok, r := check(s); !ok && !found {
			text, odd, found = s, r, true
		}
		return s
	})
	return text, odd, found
}

// walk has change see every string, and puts what it gives back where it can be set.
func walk(v reflect.Value, lines bool, change func(string, bool) string) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			walk(v.Elem(), lines, change)
		}
	case reflect.Interface:
		if v.IsNil() {
			return
		}
		within := reflect.New(v.Elem().Type()).Elem() // what is in an interface cannot be set
		within.Set(v.Elem())
		if walk(within, lines, change); v.CanSet() {
			v.Set(within)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if field := v.Type().Field(i); field.IsExported() {
				walk(v.Field(i), lines || field.Tag.Get("printable") == "text", change)
			}
		}
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return // bytes, such as a file
		}
		for i := range v.Len() {
			walk(v.Index(i), lines, change)
		}
	case reflect.Map:
		walkMap(v, lines, change)
	case reflect.String:
		if was := v.String(); v.CanSet() {
			if now := change(was, lines); now != was {
				v.SetString(now)
			}
		} else {
			change(was, lines)
		}
	default: // has no words
	}
}

// walkMap replaces the entries of a map, since what is in one cannot be set.
func walkMap(v reflect.Value, lines bool, change func(string, bool) string) {
	for _, key := range v.MapKeys() {
		newKey, newValue := reflect.New(key.Type()).Elem(), reflect.New(v.Type().Elem()).Elem()
		newKey.Set(key)
		newValue.Set(v.MapIndex(key))
		walk(newKey, lines, change)
		walk(newValue, lines, change)
		if newKey.Comparable() && newKey.Interface() != key.Interface() {
			v.SetMapIndex(key, reflect.Value{})
		}
		v.SetMapIndex(newKey, newValue)
	}
}
