# What a program that reads other people's files and requests is built with.
# Debug and sanitizer builds stay plain: _FORTIFY_SOURCE needs optimization and
# hides findings from AddressSanitizer.
include(CheckPIESupported)
check_pie_supported(LANGUAGES C)

add_compile_options($<$<CONFIG:RelWithDebInfo>:-fstack-protector-strong>
  $<$<CONFIG:RelWithDebInfo>:-fstack-clash-protection>)
add_compile_definitions($<$<CONFIG:RelWithDebInfo>:_FORTIFY_SOURCE=2>)
add_link_options($<$<CONFIG:RelWithDebInfo>:-Wl,-z,relro,-z,now>
  -Wl,--as-needed)
