"""Owns the table of what suffixes say: one name has one media type, everywhere and always.

Neither the machine's own mime.types nor the Python version decides: the tables of the standard
library differ from one version to the next (.js, .md, .rtf, .webp). Pure: only data.
"""

from typing import Final

__all__ = ["ALIASES", "ENCODINGS", "SUFFIXES", "TYPES"]

# Other names of the same type, as libraries that look at bytes give them.
ALIASES: Final = {
    "application/x-gzip": "application/gzip",
    "audio/vnd.wave": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/x-wav": "audio/wav",
}

# A suffix that says how the rest is packed.
ENCODINGS: Final = {
    ".Z": "compress",
    ".br": "br",
    ".bz2": "bzip2",
    ".gz": "gzip",
    ".xz": "xz",
}

# A suffix that stands for two.
SUFFIXES: Final = {
    ".svgz": ".svg.gz",
    ".taz": ".tar.gz",
    ".tbz2": ".tar.bz2",
    ".tgz": ".tar.gz",
    ".txz": ".tar.xz",
    ".tz": ".tar.gz",
}

# In the format of mime.types: that of CPython 3.13, with what people attach besides.
TYPES: Final = """
application/epub+zip epub
application/json json
application/manifest+json webmanifest
application/msword doc dot wiz
application/n-quads nq
application/n-triples nt
application/octet-stream a bin dll exe o obj so
application/oda oda
application/pdf pdf
application/pkcs7-mime p7c
application/postscript ai eps ps
application/toml toml
application/trig trig
application/vnd.apple.mpegurl m3u m3u8
application/vnd.ms-excel xlb xls
application/vnd.ms-powerpoint pot ppa pps ppt pwz
application/vnd.oasis.opendocument.presentation odp
application/vnd.oasis.opendocument.spreadsheet ods
application/vnd.oasis.opendocument.text odt
application/vnd.openxmlformats-officedocument.presentationml.presentation pptx
application/vnd.openxmlformats-officedocument.spreadsheetml.sheet xlsx
application/vnd.openxmlformats-officedocument.wordprocessingml.document docx
application/wasm wasm
application/x-7z-compressed 7z
application/x-bcpio bcpio
application/x-cpio cpio
application/x-csh csh
application/x-dvi dvi
application/x-gtar gtar
application/x-hdf hdf
application/x-hdf5 h5
application/x-latex latex
application/x-mif mif
application/x-ndjson jsonl
application/x-netcdf cdf nc
application/x-pkcs12 p12 pfx
application/x-pn-realaudio ram
application/x-python-code pyc pyo
application/x-sh sh
application/x-shar shar
application/x-shockwave-flash swf
application/x-sv4cpio sv4cpio
application/x-sv4crc sv4crc
application/x-tar tar
application/x-tcl tcl
application/x-tex tex
application/x-texinfo texi texinfo
application/x-troff roff t tr
application/x-troff-man man
application/x-troff-me me
application/x-troff-ms ms
application/x-ustar ustar
application/x-wais-source src
application/xml rdf wsdl xpdl xsl
application/yaml yaml yml
application/zip zip
audio/3gpp 3gp 3gpp
audio/3gpp2 3g2 3gpp2
audio/aac aac adts ass loas
audio/basic au snd
audio/flac flac
audio/mp4 m4a
audio/mpeg mp2 mp3
audio/ogg ogg
audio/opus opus
audio/wav wav
audio/x-aiff aif aifc aiff
audio/x-pn-realaudio ra
font/otf otf
font/ttf ttf
font/woff woff
font/woff2 woff2
image/avif avif
image/bmp bmp
image/gif gif
image/heic heic
image/heif heif
image/ief ief
image/jpeg jpe jpeg jpg
image/png png
image/svg+xml svg
image/tiff tif tiff
image/vnd.microsoft.icon ico
image/webp webp
image/x-cmu-raster ras
image/x-portable-anymap pnm
image/x-portable-bitmap pbm
image/x-portable-graymap pgm
image/x-portable-pixmap ppm
image/x-rgb rgb
image/x-xbitmap xbm
image/x-xpixmap xpm
image/x-xwindowdump xwd
message/rfc822 eml mht mhtml nws
text/css css
text/csv csv
text/html htm html
text/javascript js mjs
text/markdown markdown md
text/n3 n3
text/plain bat c h ksh pl srt txt
text/richtext rtx
text/rtf rtf
text/tab-separated-values tsv
text/vtt vtt
text/x-python py
text/x-rst rst
text/x-setext etx
text/x-sgml sgm sgml
text/x-vcard vcf
text/xml xml
video/matroska mkv
video/mp4 mp4
video/mpeg m1v mpa mpe mpeg mpg
video/quicktime mov qt
video/webm webm
video/x-msvideo avi
video/x-sgi-movie movie
"""
