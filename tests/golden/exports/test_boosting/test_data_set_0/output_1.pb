BprobabilitiesJ@=Ü]?Á	>¨QJ?PπV>hI[?`⁄>ﬂ]?∏É>†
x=Vp?Ñ’e?‡S—=	oh?∏áº=	oh?∏áº=